#include "kernel/plugin/worker/frame.h"

#include <cstring>
#include <type_traits>

#include "kernel/plugin/load/import.h"

namespace opensend::plugin::worker {
namespace {

constexpr size_t kAlign = 8;
constexpr uint32_t kMaxElements = 200'000;

// One description of each struct serves both directions: F is called for each pointer in it and
// either replaces it by an offset or the offset by a pointer.
template <class F>
bool Visit(F& f, osp_kv& s) {
    return f(s.key) && f(s.value);
}
template <class F>
bool Visit(F& f, osp_str& s) {
    return f(s);
}
template <class F>
bool Visit(F&, osp_error& s) {
    if (s.msg_len > sizeof s.msg) s.msg_len = sizeof s.msg;
    return true;
}
template <class F>
bool Visit(F&, osp_rl_res&) {
    return true;
}
template <class F>
bool Visit(F&, osp_transport_caps&) {
    return true;
}
template <class F>
bool Visit(F&, osp_emit_res&) {
    return true;
}
template <class F>
bool Visit(F& f, KindInfo& s) {
    return f(s.iface) && f(s.name) && f(s.schema);
}
template <class F>
bool Visit(F& f, osp_rcpt& s) {
    return f(s.addr) && f(s.orcpt);
}
template <class F>
bool Visit(F& f, osp_msg& s) {
    s.blob = nullptr;
    return f(s.id) && f(s.tenant) && f(s.mail_from) && f.Array(s.rcpts, s.n_rcpts, s.rcpt_stride) &&
           f(s.data) && f.Array(s.meta, s.n_meta) && f(s.traceparent);
}
template <class F>
bool Visit(F& f, osp_rcpt_result& s) {
    return f(s.remote_id) && f(s.remote_host) && f(s.remote_addr) && f(s.tls) && f(s.diag) &&
           f(s.transcript);
}
template <class F>
bool Visit(F& f, osp_msg_result& s) {
    osp_rcpt_result all{};
    // Only read by the receiver when there is no list.
    if (!Import(&s.all, 8, all) && s.n == 0) return false;
    s.all = all;
    s.all.size = sizeof s.all;
    return Visit(f, s.all) && f.Array(s.rcpts, s.n, s.stride);
}
template <class F>
bool Visit(F& f, osp_auth_req& s) {
    return f(s.scheme) && f(s.credential) && f(s.peer) && f(s.method) && f(s.path) &&
           f(s.listener) && f.Array(s.attrs, s.n_attrs) && f(s.traceparent);
}
template <class F>
bool Visit(F& f, osp_auth_result& s) {
    return f(s.subject) && f(s.tenant) && f.Array(s.scopes, s.n_scopes) && f(s.challenge) &&
           f(s.reason);
}
template <class F>
bool Visit(F& f, osp_rl_req& s) {
    return f(s.key);
}
template <class F>
bool Visit(F& f, osp_http_req& s) {
    return f(s.method) && f(s.path) && f(s.query) && f(s.peer) && f.Array(s.headers, s.n_headers) &&
           f(s.body);
}
template <class F>
bool Visit(F& f, osp_http_res& s) {
    return f.Array(s.headers, s.n_headers) && f(s.body);
}
template <class F>
bool Visit(F& f, osp_http_call& s) {
    s.done = nullptr;
    s.ctx = nullptr;
    return f(s.method) && f(s.url) && f.Array(s.headers, s.n_headers) && f(s.body) &&
           f(s.traceparent);
}
template <class F>
bool Visit(F& f, osp_event& s) {
    return f(s.dedup_key) && f(s.tenant) && f(s.provider_message_id) && f(s.tag) && f(s.source) &&
           f(s.rcpt) && f(s.json);
}
template <class F>
bool Visit(F& f, osp_event_batch& s) {
    s.done = nullptr;
    s.ctx = nullptr;
    return f(s.provider) && f(s.delivery_id) && f.Array(s.events, s.n, s.stride);
}
template <class F>
bool Visit(F& f, osp_ingest_args& s) {
    return f(s.provider) && f(s.event_id) && f(s.message_id) && f(s.tenant) && f(s.mail_from) &&
           f(s.peer) && f.Array(s.meta, s.n_meta);
}
template <class F>
bool Visit(F& f, osp_ingest_res& s) {
    return f(s.status) && f(s.json);
}
template <class F>
bool Visit(F& f, osp_credential& s) {
    return f(s.subject) && f(s.tenant) && f(s.scope);
}
template <class F>
bool Visit(F& f, Frame& s) {
    return f(s.s1) && f(s.s2) && f(s.s3) && f(s.data) && f.Array(s.kv, s.n_kv) &&
           f.Array(s.error, s.n_error) && f.Array(s.kinds, s.n_kinds) &&
           f.Array(s.msgs, s.n_msgs) && f.Array(s.auth_req, s.n_auth_req) &&
           f.Array(s.rl_req, s.n_rl_req) && f.Array(s.rl_res, s.n_rl_res) &&
           f.Array(s.http_req, s.n_http_req) && f.Array(s.caps, s.n_caps) &&
           f.Array(s.msg_result, s.n_msg_result) && f.Array(s.auth_result, s.n_auth_result) &&
           f.Array(s.http_res, s.n_http_res) && f.Array(s.http_call, s.n_http_call) &&
           f.Array(s.events, s.n_events) && f.Array(s.emit_res, s.n_emit_res) &&
           f.Array(s.ingest_args, s.n_ingest_args) && f.Array(s.ingest_res, s.n_ingest_res) &&
           f.Array(s.credential, s.n_credential);
}

template <class T>
constexpr bool kSizeFirst = !std::is_same_v<T, osp_kv> && !std::is_same_v<T, osp_str>;

/// Writes what the pointers show behind each other; the struct itself comes last.
class Packer {
public:
    explicit Packer(std::string& out) : out_(out) {}

    bool operator()(osp_str& s) { return Text(s); }
    bool operator()(osp_bytes& s) { return Text(s); }
    template <class T>
    bool Array(const T*& items, uint32_t& n, uint32_t& stride) {
        return Items(items, n, stride) && (stride = sizeof(T), true);
    }
    template <class T>
    bool Array(const T*& items, uint32_t& n) {
        return Items(items, n, sizeof(T));
    }
    /// Where the bytes went.
    bool Append(const void* from, size_t size, uint64_t& offset) {
        const size_t padded = (out_.size() + kAlign - 1) / kAlign * kAlign;
        if (size > kMaxFrame || padded + size > kMaxFrame) return false;
        out_.resize(padded);
        offset = padded;
        out_.append(static_cast<const char*>(from), size);
        return true;
    }

private:
    template <class S>
    bool Text(S& s) {
        if (s.ptr == nullptr || s.len == 0) {
            s = {nullptr, 0};
            return true;
        }
        uint64_t offset = 0;
        if (!Append(s.ptr, s.len, offset)) return false;
        s.ptr = reinterpret_cast<decltype(s.ptr)>(offset);
        return true;
    }
    template <class T>
    bool Items(const T*& items, uint32_t& n, size_t stride) {
        if (items == nullptr || n == 0) {
            items = nullptr;
            n = 0;
            return true;
        }
        if (n > kMaxElements || stride < 8 || stride > 65536) return false;
        std::vector<T> copies(n);
        const char* place = reinterpret_cast<const char*>(items);
        for (T& copy : copies) {
            if constexpr (kSizeFirst<T>) {
                if (!Import(place, 8, copy)) return false;
            } else {
                std::memcpy(&copy, place, sizeof copy);
            }
            place += stride;
            if (!Visit(*this, copy)) return false;
        }
        uint64_t offset = 0;
        if (!Append(copies.data(), copies.size() * sizeof(T), offset)) return false;
        items = reinterpret_cast<const T*>(offset);
        return true;
    }

    std::string& out_;
};

/// The way back. Structs are copied out before a pointer is put into them: parts of a forged frame
/// may overlap.
class Unpacker {
public:
    Unpacker(std::string_view bytes, Received& owner) : bytes_(bytes), owner_(owner) {}

    bool operator()(osp_str& s) { return Text(s); }
    bool operator()(osp_bytes& s) { return Text(s); }
    template <class T>
    bool Array(const T*& items, uint32_t& n, uint32_t& stride) {
        stride = sizeof(T);
        return Array(items, n);
    }
    template <class T>
    bool Array(const T*& items, uint32_t& n) {
        const auto offset = reinterpret_cast<uint64_t>(items);
        items = nullptr;
        if (n == 0) return true;
        const size_t size = size_t{n} * sizeof(T);
        if (n > kMaxElements || !Inside(offset, size)) return false;
        char* block = owner_.Allocate(size);
        if (block == nullptr) return false;
        std::memcpy(block, bytes_.data() + offset, size);
        T* copies = static_cast<T*>(static_cast<void*>(block));
        for (uint32_t i = 0; i < n; ++i) {
            if constexpr (kSizeFirst<T>) copies[i].size = sizeof(T);
            if (!Visit(*this, copies[i])) return false;
        }
        items = copies;
        return true;
    }

private:
    bool Inside(uint64_t offset, uint64_t size) const {
        return offset <= bytes_.size() && size <= bytes_.size() - offset;
    }
    template <class S>
    bool Text(S& s) {
        const auto offset = reinterpret_cast<uint64_t>(s.ptr);
        if (s.len == 0) {
            s = {nullptr, 0};
            return true;
        }
        if (!Inside(offset, s.len)) return false;
        s.ptr = reinterpret_cast<decltype(s.ptr)>(bytes_.data() + offset);
        return true;
    }

    const std::string_view bytes_;
    Received& owner_;
};

}  // namespace

Frame NewFrame(FrameKind kind) {
    Frame frame{};
    frame.version = kFrameVersion;
    frame.kind = static_cast<uint32_t>(kind);
    return frame;
}

bool Encode(const Frame& frame, std::string& out) {
    out.clear();
    Packer packer(out);
    Frame copy = frame;
    uint64_t offset = 0;
    return Visit(packer, copy) && packer.Append(&copy, sizeof copy, offset);
}

char* Received::Allocate(size_t size) {
    if (size > limit_ - allocated_) return nullptr;
    allocated_ += size;
    blocks_.push_back(std::make_unique<char[]>(size));
    return blocks_.back().get();
}

bool Received::Read(std::string bytes) {
    bytes_ = std::move(bytes);
    return ReadView(bytes_);
}

bool Received::ReadView(std::string_view bytes) {
    blocks_.clear();
    allocated_ = 0;
    // Each array of an honest frame stands in its bytes once.
    limit_ = bytes.size() + 4096;
    frame = Frame{};
    if (bytes.size() < sizeof frame || bytes.size() > kMaxFrame) return false;
    std::memcpy(&frame, bytes.data() + bytes.size() - sizeof frame, sizeof frame);
    Unpacker unpacker(bytes, *this);
    return frame.version == kFrameVersion && frame.kind != 0 && Visit(unpacker, frame);
}

void Received::Wipe() {
    if (!bytes_.empty()) explicit_bzero(bytes_.data(), bytes_.size());
}

}  // namespace opensend::plugin::worker
