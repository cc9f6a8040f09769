#include "kernel/plugin/worker/proxy.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernel/base/encoding.h"
#include "kernel/crypto/digest.h"
#include "kernel/plugin/load/import.h"
#include "kernel/plugin/load/open_file.h"
#include "kernel/plugin/load/requests.h"
#include "kernel/plugin/load/schema.h"
#include "kernel/plugin/worker/link.h"

namespace opensend::plugin::worker {
namespace {

constexpr auto kRestartPatience = std::chrono::milliseconds(1000);
constexpr auto kAskTime = std::chrono::milliseconds(5000);

Link& Of(osp_inst* inst) { return *reinterpret_cast<Link*>(inst); }

/// Nothing was taken: come again.
osp_status Away(Link& link, osp_error* error, osp_status status) {
    const std::string reason = link.last_reason();
    SetError(
        error, status,
        reason.empty() ? std::string("the plugin's worker is busy")
                       : base::Cat("the plugin's worker is away: ", reason)
    );
    if (error != nullptr) error->retry_after_ms = link.retry_after_ms();
    return status;
}

// ---- life ----

osp_status ProxyStart(osp_inst* inst, osp_error* error) noexcept { return Of(inst).Start(error); }
osp_status ProxyDrain(osp_inst* inst, osp_token done, osp_time deadline) noexcept {
    return Of(inst).Drain(done, deadline);
}
void ProxyStop(osp_inst* inst) noexcept { Of(inst).Stop(); }
void ProxyDestroy(osp_inst* inst) noexcept { delete &Of(inst); }
osp_status ProxyReconfigure(osp_inst* inst, osp_str json, osp_error* error) noexcept {
    return Of(inst).Reconfigure(json, error);
}
osp_status ProxyHealth(osp_inst* inst, osp_health* out) noexcept {
    if (out == nullptr || out->size < OPENSEND_SIZE_THROUGH(osp_health, inflight))
        return OSP_E_INVALID;
    const auto session = Of(inst).current();
    out->state = session ? OSP_HEALTH_UP : OSP_HEALTH_DOWN;
    out->inflight = session ? static_cast<uint32_t>(session->open_errands()) : 0;
    return OSP_OK;
}

// ---- transport ----

osp_status ProxyCaps(osp_inst* inst, osp_transport_caps* out) noexcept {
    const auto session = Of(inst).current();
    if (!session || out == nullptr || out->size < 8) return OSP_E_UNAVAILABLE;
    std::shared_ptr<Received> answer;
    const osp_status status = session->Call(NewFrame(FrameKind::kCaps), kAskTime, answer, nullptr);
    if (status != OSP_OK || answer->frame.n_caps != 1) return status < 0 ? status : OSP_E_INTERNAL;
    osp_transport_caps caps = *answer->frame.caps;
    caps.max_concurrency = std::min(caps.max_concurrency, kSendThreads);
    const uint32_t size = std::min<uint32_t>(out->size, sizeof caps);
    caps.size = out->size;
    std::memcpy(out, &caps, size);
    return OSP_OK;
}

std::vector<Errand> ErrandsOf(
    const osp_msg* messages, uint32_t n, const std::shared_ptr<BatchWait>& wait
) {
    std::vector<Errand> errands(n);
    for (uint32_t i = 0; i < n; ++i) {
        errands[i].token = messages[i].token;
        errands[i].deadline = messages[i].deadline;
        errands[i].batch = wait;
    }
    return errands;
}

/// Messages that do not fit into one frame go each in its own; what finds no room is not tried.
void PostEach(
    Link& link,
    Session& session,
    Frame frame,
    const osp_batch& batch,
    const std::shared_ptr<BatchWait>& wait
) {
    for (uint32_t i = 0; i < batch.n; ++i) {
        frame.msgs = &batch.msgs[i];
        frame.n_msgs = 1;
        const osp_status status = session.Post(frame, ErrandsOf(frame.msgs, 1, wait));
        if (status == OSP_OK) continue;
        const osp_completion refused{sizeof refused, status, nullptr, nullptr};
        link.host()->complete(link.host(), batch.msgs[i].token, &refused);
        if (!wait) continue;
        base::MutexLock lock(wait->mutex);
        --wait->open;
    }
}

osp_status PostBatch(
    osp_inst* inst, const osp_batch* batch, osp_error* error, const std::shared_ptr<BatchWait>& wait
) {
    Link& link = Of(inst);
    const auto session = link.Ready();
    if (!session) return Away(link, error, OSP_E_BUSY);
    if (batch->stride != sizeof(osp_msg)) return OSP_E_INVALID;
    Frame frame = NewFrame(FrameKind::kBatch);
    frame.b = wait ? kHasSend : kHasSubmit;
    frame.msgs = batch->msgs;
    frame.n_msgs = batch->n;
    const osp_status status = session->Post(frame, ErrandsOf(batch->msgs, batch->n, wait));
    if (status == OSP_E_TOOBIG && batch->n > 1) {
        PostEach(link, *session, frame, *batch, wait);
    } else if (status != OSP_OK) {
        return status == OSP_E_BUSY ? Away(link, error, status) : status;
    }
    return OSP_PENDING;
}

osp_status ProxySubmit(osp_inst* inst, const osp_batch* batch, osp_error* error) noexcept {
    return PostBatch(inst, batch, error, nullptr);
}

osp_status ProxySend(osp_inst* inst, const osp_batch* batch, osp_error* error) noexcept {
    const auto wait = std::make_shared<BatchWait>();
    {
        base::MutexLock lock(wait->mutex);
        wait->open = batch->n;
    }
    const osp_status status = PostBatch(inst, batch, error, wait);
    if (status != OSP_PENDING) return status;
    // Each token is answered by the plugin, after its deadline, or when the process has died.
    base::MutexLock lock(wait->mutex);
    while (wait->open > 0) wait->changed.Wait(lock);
    return OSP_OK;
}

void ProxyCancel(osp_inst* inst, osp_token token) noexcept {
    Frame frame = NewFrame(FrameKind::kCancel);
    frame.token = token;
    if (const auto session = Of(inst).current()) session->Post(frame, {});
}

osp_status ProxyProbe(osp_inst* inst, osp_time deadline, osp_error* error) noexcept {
    Link& link = Of(inst);
    const auto session = link.current();
    if (!session) return Away(link, error, OSP_E_UNAVAILABLE);
    const auto left = base::MonoTime{static_cast<int64_t>(deadline)} - link.clock().Mono();
    Frame frame = NewFrame(FrameKind::kProbe);
    frame.a = deadline;
    std::shared_ptr<Received> answer;
    return session->Call(
        frame, std::chrono::duration_cast<std::chrono::milliseconds>(left), answer, error
    );
}

// ---- the other kinds ----

/// A frame with one token; PENDING when it is on its way.
osp_status PostOne(osp_inst* inst, const Frame& frame, Errand errand, osp_error* error) {
    Link& link = Of(inst);
    // A process that is being made again is there in a moment; who asks would rather wait.
    const auto session = link.AwaitReady(link.clock().Mono() + kRestartPatience);
    if (!session) return Away(link, error, OSP_E_BUSY);
    const osp_status status = session->Post(frame, {std::move(errand)});
    if (status == OSP_E_BUSY) return Away(link, error, status);
    return status == OSP_OK ? OSP_PENDING : status;
}

osp_status ProxyAuthenticate(
    osp_inst* inst, const osp_auth_req* request, osp_error* error
) noexcept {
    Frame frame = NewFrame(FrameKind::kAuth);
    frame.auth_req = request;
    frame.n_auth_req = 1;
    Errand errand;
    errand.token = request->token;
    errand.deadline = request->deadline;
    return PostOne(inst, frame, std::move(errand), error);
}

void ProxyInvalidate(osp_inst* inst, osp_str subject) noexcept {
    Frame frame = NewFrame(FrameKind::kInvalidate);
    frame.s1 = subject;
    if (const auto session = Of(inst).current()) session->Post(frame, {});
}

osp_status ProxyHandle(osp_inst* inst, const osp_http_req* request, osp_error* error) noexcept {
    Frame frame = NewFrame(FrameKind::kInbound);
    frame.http_req = request;
    frame.n_http_req = 1;
    Errand errand;
    errand.token = request->token;
    errand.deadline = request->deadline;
    return PostOne(inst, frame, std::move(errand), error);
}

osp_status ProxyAcquire(
    osp_inst* inst,
    const osp_rl_req* requests,
    uint32_t request_stride,
    osp_rl_res* results,
    uint32_t result_stride,
    uint32_t n,
    osp_token token,
    osp_time deadline
) noexcept {
    if (request_stride != sizeof(osp_rl_req) || result_stride < sizeof(osp_rl_res))
        return OSP_E_INVALID;
    Frame frame = NewFrame(FrameKind::kAcquire);
    frame.token = token;
    frame.a = deadline;
    frame.rl_req = requests;
    frame.n_rl_req = n;
    Errand errand;
    errand.token = token;
    errand.deadline = deadline;
    errand.results = results;
    errand.n = n;
    errand.stride = result_stride;
    return PostOne(inst, frame, std::move(errand), nullptr);
}

void ProxyRefund(osp_inst* inst, const osp_rl_req* requests, uint32_t stride, uint32_t n) noexcept {
    if (stride != sizeof(osp_rl_req)) return;
    Frame frame = NewFrame(FrameKind::kRefund);
    frame.rl_req = requests;
    frame.n_rl_req = n;
    if (const auto session = Of(inst).current()) session->Post(frame, {});
}

constexpr osp_transport_v1 kSendTable{
    sizeof(osp_transport_v1), 0, ProxyCaps, nullptr, ProxySend, ProxyCancel, ProxyProbe};
constexpr osp_transport_v1 kSubmitTable{
    sizeof(osp_transport_v1), 0, ProxyCaps, ProxySubmit, nullptr, ProxyCancel, ProxyProbe};
constexpr osp_auth_v1 kAuthTable{sizeof(osp_auth_v1), 0, ProxyAuthenticate, ProxyInvalidate};
constexpr osp_ratelimit_v1 kLimitTable{sizeof(osp_ratelimit_v1), 0, ProxyAcquire, ProxyRefund};
constexpr osp_inbound_v1 kInboundTable{sizeof(osp_inbound_v1), 0, ProxyHandle};

const void* TableOf(std::string_view iface, uint32_t slots) {
    if (iface == OSP_KIND_TRANSPORT && (slots & kHasSend) != 0) return &kSendTable;
    if (iface == OSP_KIND_TRANSPORT && (slots & kHasSubmit) != 0) return &kSubmitTable;
    if (iface == OSP_KIND_AUTH) return &kAuthTable;
    if (iface == OSP_KIND_RATELIMIT) return &kLimitTable;
    if (iface == OSP_KIND_INBOUND) return &kInboundTable;
    return nullptr;
}

osp_instance_vt InstanceTable(uint32_t flags) {
    osp_instance_vt table{};
    table.size = sizeof table;
    table.flags = flags;
    table.start = ProxyStart;
    table.drain = ProxyDrain;
    table.stop = ProxyStop;
    table.destroy = ProxyDestroy;
    table.health = ProxyHealth;
    table.reconfigure = ProxyReconfigure;
    return table;
}

std::string NameOf(osp_str text) {
    return text.ptr == nullptr ? std::string() : std::string(text.ptr, text.len);
}

LoadedKind KindOf(
    const std::shared_ptr<const Recipe>& recipe, const KindInfo& info, uint32_t index
) {
    LoadedKind kind;
    kind.iface = NameOf(info.iface);
    kind.name = NameOf(info.name);
    kind.instance = InstanceTable(info.flags);
    kind.table = TableOf(kind.iface, info.slots);
    kind.make = [recipe, index, iface = kind.iface](
                    const osp_create_args& args, const ApartArgs& apart, osp_inst** out,
                    osp_error* error
                ) -> osp_status {
        auto link = std::make_unique<Link>(recipe, index, iface, args, apart);
        const osp_status status = link->Create(error);
        if (status == OSP_OK) *out = reinterpret_cast<osp_inst*>(link.release());
        return status;
    };
    return kind;
}

/// A process is started again and again, long after the checks: from a copy of what was checked.
Checked<bool> KeepBytes(PluginFile& file) {
    const auto bytes = ReadContent(file.fd());
    if (!bytes.ok()) return base::Failure{bytes.error()};
    const std::string found = base::HexEncode(crypto::Sha256(*bytes));
    if (found != file.sha256()) return Refuse("sha256", file.sha256(), found);
    auto copy = SealedCopy(*bytes);
    if (!copy.ok()) return base::Failure{copy.error()};
    file.Exchange(std::move(*copy));
    return true;
}

/// The kinds that the worker named, if they are those of the manifest.
Checked<std::vector<LoadedKind>> KindsOf(
    const std::shared_ptr<const Recipe>& recipe, const Frame& hello
) {
    const PluginFile& file = *recipe->file;
    const auto& named = file.manifest().kinds;
    if (hello.n_kinds != named.size())
        return Refuse("kinds", "those of the manifest", base::Cat(hello.n_kinds, " of them"));
    std::vector<LoadedKind> kinds;
    for (uint32_t i = 0; i < hello.n_kinds; ++i) {
        LoadedKind kind = KindOf(recipe, hello.kinds[i], i);
        const std::string label = base::Cat(kind.iface, ":", kind.name);
        if (label != named[i]) return Refuse("kinds", named[i], "another kind");
        if (kind.table == nullptr)
            return Refuse("kinds", "an interface that a worker can serve", label);
        auto schema = TakeSchema(NameOf(hello.kinds[i].schema), label);
        if (!schema.ok()) return base::Failure{schema.error()};
        std::string own = SchemaOf(file.note().json, kind.name);
        kind.schema = own.empty() ? std::move(*schema) : std::move(own);
        kinds.push_back(std::move(kind));
    }
    return kinds;
}

}  // namespace

Checked<LoadedPlugin> Load(std::shared_ptr<PluginFile> file, const Plan& plan) {
    const auto kept = KeepBytes(*file);
    if (!kept.ok()) return base::Failure{kept.error()};
    auto recipe = std::make_shared<Recipe>();
    recipe->program = FindProgram(plan.program);
    recipe->limits = plan.limits;
    recipe->patience = plan.patience;
    recipe->clock = plan.clock;
    recipe->file = file;
    Received hello;
    const auto trial = Session::Start(recipe, {}, hello);
    if (!trial.ok()) return base::Failure{trial.error()};
    (*trial)->Settle("it was a trial");
    auto kinds = KindsOf(recipe, hello.frame);
    if (!kinds.ok()) return base::Failure{kinds.error()};

    LoadedPlugin loaded;
    loaded.id = file->manifest().id;
    loaded.version = file->manifest().version;
    loaded.apart = true;
    loaded.kinds = std::move(*kinds);
    FillNothing(loaded.unload);
    return loaded;
}

}  // namespace opensend::plugin::worker
