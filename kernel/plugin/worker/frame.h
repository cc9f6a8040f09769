#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <opensend/plugin.h>

namespace opensend::plugin::worker {

/// Both sides refuse another number: they are installed together.
constexpr uint32_t kFrameVersion = 1;
/// Above the largest message and its surroundings.
constexpr size_t kMaxFrame = size_t{64} << 20;

/// What a frame is for. The answer to one that carries an id is kReturn with the same id.
enum class FrameKind : uint32_t {
    // server to worker
    kCreate = 1,
    kStart,
    kStop,
    kDestroy,
    kReconfigure,
    kProbe,
    kCaps,
    kDrain,
    kBatch,
    kCancel,
    kAuth,
    kInvalidate,
    kAcquire,
    kRefund,
    kInbound,
    kCallback,
    // worker to server
    kHello,
    kComplete,
    kHostCall,
    kLog,
    kMetricAdd,
    kMetricObserve,
    kBadToken,
    // both ways
    kReturn,
};

/// What a kHostCall asks for.
enum class HostOp : uint32_t {
    kMetricDefine = 1,
    kSecretWith,
    kKvGet,
    kKvPut,
    kKvDelete,
    kHttpStart,
    kHttpCancel,
    kEmit,
    kIngestBegin,
    kIngestRcpt,
    kIngestWrite,
    kIngestCommit,
    kIngestAbort,
    kCredentialFind,
    kCredentialMac,
};

/// One kind of the loaded file, in a kHello.
struct KindInfo {
    uint32_t size, flags;  // flags of the instance table
    osp_str iface, name, schema;
    uint32_t slots, _r;  // KindSlot
};
enum KindSlot : uint32_t { kHasSend = 1, kHasSubmit = 2, kHasProbe = 4, kHasCancel = 8 };

/// Everything that goes between the two processes: a header of numbers, and the structs of the ABI.
/// An array of none or one stands for an optional struct.
struct Frame {
    uint32_t version, kind;
    uint64_t id, token, a, b, c;
    double real;
    osp_status status;
    uint32_t op;
    osp_str s1, s2, s3;
    osp_bytes data;
    const osp_kv* kv;
    const osp_error* error;
    const KindInfo* kinds;
    const osp_msg* msgs;
    const osp_auth_req* auth_req;
    const osp_rl_req* rl_req;
    const osp_rl_res* rl_res;
    const osp_http_req* http_req;
    const osp_transport_caps* caps;
    const osp_msg_result* msg_result;
    const osp_auth_result* auth_result;
    const osp_http_res* http_res;
    const osp_http_call* http_call;
    const osp_event_batch* events;
    const osp_emit_res* emit_res;
    const osp_ingest_args* ingest_args;
    const osp_ingest_res* ingest_res;
    const osp_credential* credential;
    uint32_t n_kv, n_error, n_kinds, n_msgs, n_auth_req, n_rl_req, n_rl_res, n_http_req, n_caps,
        n_msg_result, n_auth_result, n_http_res, n_http_call, n_events, n_emit_res, n_ingest_args,
        n_ingest_res, n_credential;
};

/// A frame of that kind with nothing in it.
Frame NewFrame(FrameKind kind);

/// The frame as bytes, with offsets in the place of pointers. False: something in it is not
/// readable by the rules of the ABI, or it is larger than kMaxFrame.
bool Encode(const Frame& frame, std::string& out);

/// A frame that came from the other side, and the memory behind its pointers. Texts point into the
/// bytes it was read from; structs are copies, which nobody else can reach.
class Received {
public:
    Frame frame{};

    /// A block that lives as long as this; null when the frame asks for more than it may.
    char* Allocate(size_t size);
    /// Takes the bytes over and reads them.
    bool Read(std::string bytes);
    /// Reads bytes that somebody else keeps.
    bool ReadView(std::string_view bytes);
    /// Wipes the bytes it owns: they held a secret.
    void Wipe();

private:
    std::string bytes_;
    std::vector<std::unique_ptr<char[]>> blocks_;
    size_t allocated_ = 0, limit_ = 0;
};

}  // namespace opensend::plugin::worker
