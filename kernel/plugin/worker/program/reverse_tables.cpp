#include "kernel/plugin/worker/program/reverse_tables.h"

#include <chrono>
#include <cstring>

#include "kernel/plugin/worker/program/reverse_host.h"

namespace opensend::plugin::worker {
namespace {

/// A received mail as the plugin holds it.
struct Mail {
    ReverseHost* host;
    uint64_t id;
};
Mail& MailOf(osp_ingest* mail) { return *reinterpret_cast<Mail*>(mail); }

Frame HostFrame() { return NewFrame(FrameKind::kHostCall); }

constexpr osp_host_metric_v1 kMetric{
    sizeof kMetric, 0, ReverseTables::MetricDefine, ReverseTables::MetricAdd,
    ReverseTables::MetricObserve};
constexpr osp_host_secret_v1 kSecret{
    sizeof kSecret, 0, ReverseTables::SecretWith, ReverseTables::SecretWatch};
constexpr osp_host_kv_v1 kKv{
    sizeof kKv, 0, ReverseTables::KvGet, ReverseTables::KvPut, ReverseTables::KvDelete};
constexpr osp_host_timer_v1 kTimer{
    sizeof kTimer, 0, ReverseTables::TimerArm, ReverseTables::TimerDisarm};
constexpr osp_host_http_v1 kHttp{
    sizeof kHttp, 0, ReverseTables::HttpStart, ReverseTables::HttpCancel};
constexpr osp_host_event_v1 kEvent{sizeof kEvent, 0, ReverseTables::Emit};
constexpr osp_host_ingest_v1 kIngest{
    sizeof kIngest,
    0,
    ReverseTables::IngestBegin,
    ReverseTables::IngestRcpt,
    ReverseTables::IngestWrite,
    ReverseTables::IngestCommit,
    ReverseTables::IngestAbort};
constexpr osp_host_credential_v1 kCredential{
    sizeof kCredential, 0, ReverseTables::CredentialFind, ReverseTables::CredentialMac};

const struct {
    std::string_view id;
    uint64_t bit;
    const void* table;
} kServices[] = {
    {OSP_HOST_METRIC,     kMetricService,     &kMetric    },
    {OSP_HOST_SECRET,     kSecretService,     &kSecret    },
    {OSP_HOST_KV,         kKvService,         &kKv        },
    {OSP_HOST_TIMER,      kTimerService,      &kTimer     },
    {OSP_HOST_HTTP,       kHttpService,       &kHttp      },
    {OSP_HOST_EVENT,      kEventService,      &kEvent     },
    {OSP_HOST_INGEST,     kIngestService,     &kIngest    },
    {OSP_HOST_CREDENTIAL, kCredentialService, &kCredential},
};

}  // namespace

osp_host ReverseTables::MakeHost(ReverseHost* self) {
    return {sizeof(osp_host), OSP_MAGIC, OSP_ABI_MAJOR, OSP_ABI_MINOR, 0,     "opensend", "1", self,
            GetInterface,     Complete,  Log,           Now,           UnixMs};
}

const void* ReverseTables::Find(std::string_view id, uint64_t granted) {
    for (const auto& service : kServices) {
        if (service.id == id) return (granted & service.bit) != 0 ? service.table : nullptr;
    }
    return nullptr;
}

ReverseHost& ReverseTables::Of(const osp_host* host) {
    return *static_cast<ReverseHost*>(host->self);
}

const void* ReverseTables::GetInterface(const osp_host* host, const char* id) noexcept {
    return id == nullptr ? nullptr : Of(host).Find(id);
}

osp_status ReverseTables::Complete(
    const osp_host* host, osp_token token, const osp_completion* completion
) noexcept {
    return Of(host).Complete(token, completion);
}

void ReverseTables::Log(
    const osp_host* host, int32_t level, osp_str text, const osp_kv* fields, uint32_t n
) noexcept {
    Frame frame = NewFrame(FrameKind::kLog);
    frame.op = static_cast<uint32_t>(level);
    frame.s1 = text;
    frame.kv = fields;
    frame.n_kv = n;
    Of(host).Send(frame);
}

osp_time ReverseTables::Now(const osp_host*) noexcept { return MonotonicNow(); }

int64_t ReverseTables::UnixMs(const osp_host*) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

uint64_t ReverseTables::MetricDefine(
    const osp_host* host, int32_t type, osp_str name, osp_str help, const osp_kv* labels, uint32_t n
) noexcept {
    Frame frame = HostFrame();
    frame.a = static_cast<uint64_t>(type);
    frame.s1 = name;
    frame.s2 = help;
    frame.kv = labels;
    frame.n_kv = n;
    return Of(host).Ask(frame, HostOp::kMetricDefine)->frame.a;
}

void ReverseTables::MetricAdd(const osp_host* host, uint64_t handle, int64_t value) noexcept {
    Frame frame = NewFrame(FrameKind::kMetricAdd);
    frame.a = handle;
    frame.b = static_cast<uint64_t>(value);
    Of(host).Send(frame);
}

void ReverseTables::MetricObserve(const osp_host* host, uint64_t handle, double value) noexcept {
    Frame frame = NewFrame(FrameKind::kMetricObserve);
    frame.a = handle;
    frame.real = value;
    Of(host).Send(frame);
}

osp_status ReverseTables::SecretWith(
    const osp_host* host, osp_str ref, void (*use)(void*, osp_bytes) noexcept, void* context
) noexcept {
    if (use == nullptr) return OSP_E_INVALID;
    Frame frame = HostFrame();
    frame.s1 = ref;
    const auto reply = Of(host).Ask(frame, HostOp::kSecretWith);
    if (reply->frame.status == OSP_OK) use(context, reply->frame.data);
    reply->Wipe();
    return reply->frame.status;
}

osp_status
ReverseTables::SecretWatch(const osp_host*, osp_str, void (*)(void*) noexcept, void*) noexcept {
    return OSP_E_UNSUPPORTED;
}

osp_status ReverseTables::KvGet(
    const osp_host* host,
    osp_str key,
    void (*use)(void*, osp_bytes, uint64_t) noexcept,
    void* context
) noexcept {
    if (use == nullptr) return OSP_E_INVALID;
    Frame frame = HostFrame();
    frame.s1 = key;
    const auto reply = Of(host).Ask(frame, HostOp::kKvGet);
    if (reply->frame.status == OSP_OK) use(context, reply->frame.data, reply->frame.a);
    return reply->frame.status;
}

osp_status ReverseTables::KvPut(
    const osp_host* host, osp_str key, osp_bytes value, uint64_t expect, uint64_t ttl
) noexcept {
    Frame frame = HostFrame();
    frame.s1 = key;
    frame.data = value;
    frame.a = expect;
    frame.b = ttl;
    return Of(host).AskStatus(frame, HostOp::kKvPut, nullptr);
}

osp_status ReverseTables::KvDelete(const osp_host* host, osp_str key, uint64_t expect) noexcept {
    Frame frame = HostFrame();
    frame.s1 = key;
    frame.a = expect;
    return Of(host).AskStatus(frame, HostOp::kKvDelete, nullptr);
}

uint64_t ReverseTables::TimerArm(
    const osp_host* host,
    osp_time at,
    uint64_t period,
    void (*fire)(void*, uint64_t) noexcept,
    void* context
) noexcept {
    return fire == nullptr ? 0 : Of(host).Arm(at, period, fire, context);
}

osp_status ReverseTables::TimerDisarm(const osp_host* host, uint64_t id) noexcept {
    return Of(host).Disarm(id);
}

uint64_t ReverseTables::HttpStart(
    const osp_host* host, const osp_http_call* call, osp_error* error
) noexcept {
    if (call == nullptr || call->size < sizeof *call || call->done == nullptr) return 0;
    ReverseHost::Waiting waiting;
    waiting.context = call->ctx;
    waiting.http = call->done;
    Frame frame = HostFrame();
    frame.a = Of(host).Expect(waiting);
    frame.http_call = call;
    frame.n_http_call = 1;
    const auto reply = Of(host).Ask(frame, HostOp::kHttpStart);
    if (error != nullptr && error->size >= sizeof *error && reply->frame.n_error == 1)
        *error = *reply->frame.error;
    if (reply->frame.status != OSP_OK || reply->frame.b == 0) {
        Of(host).Forget(frame.a);
        return 0;
    }
    return reply->frame.b;
}

void ReverseTables::HttpCancel(const osp_host* host, uint64_t id) noexcept {
    Frame frame = HostFrame();
    frame.b = id;
    Of(host).AskStatus(frame, HostOp::kHttpCancel, nullptr);
}

osp_status ReverseTables::Emit(
    const osp_host* host, const osp_event_batch* batch, osp_error* error
) noexcept {
    if (batch == nullptr || batch->size < sizeof *batch || batch->done == nullptr)
        return OSP_E_INVALID;
    ReverseHost::Waiting waiting;
    waiting.context = batch->ctx;
    waiting.emit = batch->done;
    Frame frame = HostFrame();
    frame.a = Of(host).Expect(waiting);
    frame.events = batch;
    frame.n_events = 1;
    const osp_status status = Of(host).AskStatus(frame, HostOp::kEmit, error);
    if (status < 0) Of(host).Forget(frame.a);
    return status;
}

osp_status ReverseTables::IngestBegin(
    const osp_host* host, const osp_ingest_args* args, osp_ingest** out, osp_error* error
) noexcept {
    if (args == nullptr || out == nullptr) return OSP_E_INVALID;
    Frame frame = HostFrame();
    frame.ingest_args = args;
    frame.n_ingest_args = 1;
    const auto reply = Of(host).Ask(frame, HostOp::kIngestBegin);
    if (error != nullptr && error->size >= sizeof *error && reply->frame.n_error == 1)
        *error = *reply->frame.error;
    if (reply->frame.status == OSP_OK)
        *out = reinterpret_cast<osp_ingest*>(new Mail{&Of(host), reply->frame.b});
    return reply->frame.status;
}

osp_status ReverseTables::IngestRcpt(osp_ingest* mail, osp_str address, osp_error* error) noexcept {
    Frame frame = HostFrame();
    frame.b = MailOf(mail).id;
    frame.s1 = address;
    return MailOf(mail).host->AskStatus(frame, HostOp::kIngestRcpt, error);
}

osp_status ReverseTables::IngestWrite(
    osp_ingest* mail, osp_bytes bytes, osp_error* error
) noexcept {
    Frame frame = HostFrame();
    frame.b = MailOf(mail).id;
    frame.data = bytes;
    return MailOf(mail).host->AskStatus(frame, HostOp::kIngestWrite, error);
}

osp_status ReverseTables::IngestCommit(
    osp_ingest* mail,
    void (*done)(void*, osp_status, const osp_ingest_res*) noexcept,
    void* context,
    osp_error* error
) noexcept {
    const std::unique_ptr<Mail> ended(&MailOf(mail));
    ReverseHost::Waiting waiting;
    waiting.context = context;
    waiting.ingest = done;
    Frame frame = HostFrame();
    frame.a = ended->host->Expect(waiting);
    frame.b = ended->id;
    const osp_status status = ended->host->AskStatus(frame, HostOp::kIngestCommit, error);
    if (status < 0) ended->host->Forget(frame.a);
    return status;
}

void ReverseTables::IngestAbort(osp_ingest* mail) noexcept {
    const std::unique_ptr<Mail> ended(&MailOf(mail));
    Frame frame = HostFrame();
    frame.b = ended->id;
    ended->host->AskStatus(frame, HostOp::kIngestAbort, nullptr);
}

osp_status ReverseTables::CredentialFind(
    const osp_host* host,
    osp_str ref,
    osp_time deadline,
    void (*done)(void*, osp_status, const osp_credential*) noexcept,
    void* context
) noexcept {
    if (done == nullptr) return OSP_E_INVALID;
    ReverseHost::Waiting waiting;
    waiting.context = context;
    waiting.credential = done;
    Frame frame = HostFrame();
    frame.a = Of(host).Expect(waiting);
    frame.b = deadline;
    frame.s1 = ref;
    const osp_status status = Of(host).AskStatus(frame, HostOp::kCredentialFind, nullptr);
    if (status < 0) Of(host).Forget(frame.a);
    return status;
}

osp_status ReverseTables::CredentialMac(
    const osp_host* host, uint32_t kid, osp_bytes data, uint8_t out[32]
) noexcept {
    Frame frame = HostFrame();
    frame.b = kid;
    frame.data = data;
    const auto reply = Of(host).Ask(frame, HostOp::kCredentialMac);
    if (reply->frame.status != OSP_OK) return reply->frame.status;
    if (reply->frame.data.len != 32) return OSP_E_INTERNAL;
    std::memcpy(out, reply->frame.data.ptr, 32);
    return OSP_OK;
}

}  // namespace opensend::plugin::worker
