#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <opensend/plugin.h>

#include "plugins/smtp/abi.h"
#include "plugins/smtp/config.h"
#include "plugins/smtp/relay.h"

namespace opensend::smtp_plugin {
namespace {

constexpr uint32_t kMaxBatch = 32;
constexpr uint32_t kMaxRcpts = 50;
constexpr uint64_t kMaxBytes = 100 * 1024 * 1024;
constexpr uint64_t kDeadlineMargin = kSecond / 5;

osp_rcpt_result ResultOf(const Job& job, size_t rcpt, const Config& config) {
    const Verdict& verdict = job.message.verdicts[rcpt];
    osp_rcpt_result result{};
    result.size = sizeof result;
    result.outcome = OutcomeCode(verdict.outcome);
    result.rcpt_index = static_cast<uint32_t>(rcpt);
    result.smtp_code = verdict.code;
    std::copy(verdict.enhanced.begin(), verdict.enhanced.end(), result.enhanced);
    result.rclass = ClassCode(verdict.hint);
    result.stage = result.outcome == OSP_OUT_NOT_TRIED ? uint16_t{OSP_STAGE_NONE}
                                                       : static_cast<uint16_t>(verdict.stage);
    if (verdict.outcome == Outcome::kAccepted) result.remote_id = Str(FindQueueId(verdict.text));
    result.remote_host = Str(config.host);
    result.remote_addr = Str(job.remote_address);
    result.tls = Str(job.tls);
    result.diag = Str(verdict.text);
    result.transcript = Str(job.message.transcript);
    return result;
}

/// The jobs of one send(); kept for the next one, so that their buffers are reused.
struct Call {
    std::unique_ptr<Job[]> jobs;
    size_t capacity = 0;
    size_t count = 0;
    std::vector<osp_token> tokens;
    std::vector<bool> completed;
    std::vector<std::string> loaded;  // messages read from blobs
    std::vector<osp_rcpt_result> results;
};

enum class Phase { kCreated = 1, kStarted, kDraining, kStopped };

class Instance {
public:
    Instance(const osp_host* host, Config config, std::unique_ptr<TlsContext> tls)
        : host_(host),
          relay_(
              std::move(config),
              std::move(tls),
              [host](const Credential& from, std::string& to) { return LoadSecret(host, from, to); }
          ) {}

    static bool LoadSecret(const osp_host* host, const Credential& from, std::string& to);

    osp_status Start(osp_error* error);
    osp_status Drain(osp_token done);
    void Stop();
    void Cancel(osp_token token);
    osp_status Send(const osp_batch& batch, osp_error* error);
    osp_status Probe(osp_time deadline, osp_error* error);
    void Health(osp_health& health);
    const Config& config() const { return relay_.config(); }

private:
    osp_status Enter(std::unique_ptr<Call>& call, osp_error* error);
    void Leave(std::unique_ptr<Call> call);
    bool Prepare(Call& call, size_t index, const osp_msg& message);
    bool LoadBlob(Call& call, size_t index, const osp_msg& message);
    void Complete(Call& call, size_t index);
    void CompleteAs(Call& call, size_t index, osp_status status);
    void CompleteAfterFailure(Call& call, size_t index);

    const osp_host* const host_;
    Relay relay_;
    std::mutex mutex_;
    std::condition_variable left_;
    // Guarded by mutex_.
    Phase phase_ = Phase::kCreated;
    osp_token drained_ = 0;
    size_t probes_ = 0;
    std::vector<Call*> active_;
    std::vector<std::unique_ptr<Call>> spare_;
    std::string trouble_;  // why the last message did not get to the relay
};

bool Instance::LoadSecret(const osp_host* host, const Credential& from, std::string& to) {
    if (from.secret_ref.empty()) {
        to = from.value;
        return true;
    }
    const auto* secrets =
        static_cast<const osp_host_secret_v1*>(host->get_interface(host, OSP_HOST_SECRET));
    if (!OSP_HAS(osp_host_secret_v1, secrets, with)) return false;
    const auto use = [](void* context, osp_bytes bytes) noexcept {
        const auto* text = static_cast<const char*>(static_cast<const void*>(bytes.ptr));
        static_cast<std::string*>(context)->assign(text, bytes.len);
    };
    if (secrets->with(host, Str(from.secret_ref), use, &to) != OSP_OK) return false;
    return to.find('\0') == std::string::npos;
}

osp_status Instance::Start(osp_error* error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (phase_ != Phase::kCreated) return Fail(error, OSP_E_STATE, "already started");
    phase_ = Phase::kStarted;
    return OSP_OK;
}

osp_status Instance::Drain(osp_token done) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (phase_ != Phase::kStarted) return OSP_E_STATE;
        phase_ = Phase::kDraining;
        if (!active_.empty()) {
            drained_ = done;
            return OSP_PENDING;
        }
    }
    relay_.CloseIdle();
    return OSP_OK;
}

void Instance::Stop() {
    relay_.Stop();
    std::unique_lock<std::mutex> lock(mutex_);
    phase_ = Phase::kStopped;
    left_.wait(lock, [this] { return active_.empty() && probes_ == 0; });
    spare_.clear();
    lock.unlock();
    relay_.CloseIdle();
}

void Instance::Cancel(osp_token token) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const Call* call : active_) {
        for (size_t i = 0; i < call->count; ++i) {
            if (call->tokens[i] == token) {
                call->jobs[i].cancelled.store(true, std::memory_order_relaxed);
            }
        }
    }
}

osp_status Instance::Enter(std::unique_ptr<Call>& call, osp_error* error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (phase_ != Phase::kStarted) return Fail(error, OSP_E_STATE, "the transport is not started");
    if (active_.size() >= config().max_connections) {
        return Fail(error, OSP_E_BUSY, "every connection is in use");
    }
    active_.reserve(kMaxConnections);
    spare_.reserve(kMaxConnections);
    if (spare_.empty()) {
        call = std::make_unique<Call>();
    } else {
        call = std::move(spare_.back());
        spare_.pop_back();
    }
    call->count = 0;
    active_.push_back(call.get());
    return OSP_OK;
}

void Instance::Leave(std::unique_ptr<Call> call) {
    const std::lock_guard<std::mutex> lock(mutex_);
    active_.erase(std::find(active_.begin(), active_.end(), call.get()));
    spare_.push_back(std::move(call));
    if (!active_.empty()) return;
    if (drained_ != 0) {
        osp_completion completion{};
        completion.size = sizeof completion;
        host_->complete(host_, std::exchange(drained_, 0), &completion);
    }
    left_.notify_all();
}

bool Instance::LoadBlob(Call& call, size_t index, const osp_msg& message) {
    const auto* blobs =
        static_cast<const osp_host_blob_v1*>(host_->get_interface(host_, OSP_HOST_BLOB));
    if (!OSP_HAS(osp_host_blob_v1, blobs, read_at) || message.total_size > kMaxBytes) return false;
    std::string& whole = call.loaded[index];
    const auto* head = static_cast<const char*>(static_cast<const void*>(message.data.ptr));
    whole.assign(head == nullptr ? "" : head, message.data.len);
    if (message.total_size < whole.size()) return false;
    const size_t from = whole.size();
    whole.resize(message.total_size);
    for (size_t at = from; at < whole.size();) {
        size_t got = 0;
        const osp_status status = blobs->read_at(
            host_, message.blob, at - from, whole.data() + at, whole.size() - at, &got
        );
        if (status != OSP_OK || got == 0 || got > whole.size() - at) return false;
        at += got;
    }
    call.jobs[index].message.data = whole;
    return true;
}

bool Instance::Prepare(Call& call, size_t index, const osp_msg& message) {
    Job& job = call.jobs[index];
    job.is_retried = false;
    job.deadline = message.deadline;
    if (job.deadline != 0) {
        // The answer has to be back before the host answers for us.
        const uint64_t now = MonotonicNow();
        const uint64_t left = job.deadline > now ? job.deadline - now : 0;
        job.deadline -= std::min(kDeadlineMargin, left / 10);
    }
    job.remote_address.clear();
    job.tls.clear();
    job.message.mail_from = View(message.mail_from);
    job.message.needs_tls = false;
    for (uint32_t i = 0; i < message.n_meta; ++i) {
        if (View(message.meta[i].key) == "tls" && View(message.meta[i].value) == "required") {
            job.message.needs_tls = true;
        }
    }
    job.message.rcpts.clear();
    for (uint32_t i = 0; i < message.n_rcpts; ++i) {
        const auto rcpt = Import<osp_rcpt>(At(message.rcpts, message.rcpt_stride, i));
        job.message.rcpts.push_back(View(rcpt.addr));
    }
    job.message.verdicts.clear();
    job.message.Rewind();
    if (message.blob != nullptr) return LoadBlob(call, index, message);
    const auto* bytes = static_cast<const char*>(static_cast<const void*>(message.data.ptr));
    job.message.data =
        bytes == nullptr ? std::string_view() : std::string_view(bytes, message.data.len);
    return true;
}

void Instance::CompleteAs(Call& call, size_t index, osp_status status) {
    call.completed[index] = true;
    osp_completion completion{};
    completion.size = sizeof completion;
    completion.status = status;
    host_->complete(host_, call.tokens[index], &completion);
}

/// Allocates nothing: the message may already be with the relay and must not be sent again blindly.
void Instance::CompleteAfterFailure(Call& call, size_t index) {
    if (!call.jobs[index].message.body_issued) return CompleteAs(call, index, OSP_E_INTERNAL);
    osp_msg_result result{};
    result.size = sizeof result;
    result.all.size = sizeof result.all;
    result.all.outcome = OSP_OUT_INDETERMINATE;
    result.all.stage = OSP_STAGE_END;
    osp_completion completion{};
    completion.size = sizeof completion;
    completion.result = &result;
    call.completed[index] = true;
    host_->complete(host_, call.tokens[index], &completion);
}

void Instance::Complete(Call& call, size_t index) {
    const Job& job = call.jobs[index];
    const auto& verdicts = job.message.verdicts;
    if (verdicts.empty()) return CompleteAs(call, index, OSP_E_INVALID);
    const bool cancelled =
        std::all_of(verdicts.begin(), verdicts.end(), [](const Verdict& verdict) {
            return verdict.outcome == Outcome::kCancelled;
        });
    if (cancelled) return CompleteAs(call, index, OSP_E_CANCELLED);
    call.results.clear();
    for (size_t i = 0; i < verdicts.size(); ++i) {
        call.results.push_back(ResultOf(job, i, config()));
    }
    osp_msg_result result{};
    result.size = sizeof result;
    result.all = call.results[0];
    if (verdicts.size() > 1) {
        result.rcpts = call.results.data();
        result.n = static_cast<uint32_t>(call.results.size());
        result.stride = sizeof(osp_rcpt_result);
    }
    osp_completion completion{};
    completion.size = sizeof completion;
    completion.result = &result;
    call.completed[index] = true;
    host_->complete(host_, call.tokens[index], &completion);
    const Verdict& first = verdicts[0];
    const bool unreachable = first.outcome == Outcome::kDeferred && first.stage < Stage::kMail;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (unreachable || !trouble_.empty()) trouble_ = unreachable ? first.text : std::string();
}

osp_status Instance::Send(const osp_batch& batch, osp_error* error) {
    std::unique_ptr<Call> call;
    const osp_status entered = Enter(call, error);
    if (entered != OSP_OK) return entered;
    osp_status status = Guard(error, [&] {
        if (call->capacity < batch.n) {
            call->jobs = std::make_unique<Job[]>(batch.n);
            call->capacity = batch.n;
        }
        call->tokens.resize(batch.n);
        call->loaded.resize(batch.n);
        call->completed.assign(batch.n, false);
        for (uint32_t i = 0; i < batch.n; ++i) {
            call->jobs[i].cancelled.store(false, std::memory_order_relaxed);
            call->tokens[i] = Import<osp_msg>(At(batch.msgs, batch.stride, i)).token;
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        call->count = batch.n;
        return OSP_OK;
    });
    if (status == OSP_OK) {
        Guard(nullptr, [&] {
            for (uint32_t i = 0; i < batch.n; ++i) {
                const auto message = Import<osp_msg>(At(batch.msgs, batch.stride, i));
                if (!Prepare(*call, i, message)) {
                    CompleteAs(*call, i, OSP_E_UNSUPPORTED);
                    call->jobs[i].message.finished = true;
                }
            }
            relay_.Deliver(call->jobs.get(), batch.n, [&](size_t i) {
                if (!call->completed[i]) Complete(*call, i);
            });
            return OSP_OK;
        });
        // Whatever an exception left over.
        for (size_t i = 0; i < batch.n; ++i) {
            if (!call->completed[i]) CompleteAfterFailure(*call, i);
        }
    }
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        call->count = 0;
    }
    Leave(std::move(call));
    return status;
}

osp_status Instance::Probe(osp_time deadline, osp_error* error) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (phase_ != Phase::kStarted)
            return Fail(error, OSP_E_STATE, "the transport is not started");
        ++probes_;
    }
    Verdict failure;
    const osp_status status = Guard(error, [&] {
        if (relay_.Probe(deadline, failure)) return osp_status{OSP_OK};
        const bool config_fault =
            failure.hint == Hint::kAuthConfig || failure.stage == Stage::kAuth;
        return Fail(error, config_fault ? OSP_E_CONFIG : OSP_E_UNAVAILABLE, failure.text);
    });
    const std::lock_guard<std::mutex> lock(mutex_);
    --probes_;
    left_.notify_all();
    return status;
}

void Instance::Health(osp_health& health) {
    const std::lock_guard<std::mutex> lock(mutex_);
    health.state = trouble_.empty() ? OSP_HEALTH_UP : OSP_HEALTH_DEGRADED;
    if (phase_ != Phase::kStarted) health.state = OSP_HEALTH_DOWN;
    health.inflight = static_cast<uint32_t>(active_.size());
    health.why.size = sizeof health.why;
    if (!trouble_.empty()) Fail(&health.why, OSP_E_UNAVAILABLE, trouble_);
}

Instance& Self(osp_inst* instance) { return *static_cast<Instance*>(static_cast<void*>(instance)); }

template <bool implicit_tls>
osp_status Create(const osp_create_args* raw, osp_inst** out, osp_error* error) noexcept {
    return Guard(error, [&]() -> osp_status {
        const auto args = Import<osp_create_args>(raw);
        std::string problem;
        auto config = ParseConfig(View(args.config), implicit_tls, problem);
        if (!config) return Fail(error, OSP_E_CONFIG, problem);
        std::string secret;
        for (const Credential* credential : {&config->username, &config->password}) {
            const bool known = Instance::LoadSecret(args.host, *credential, secret);
            std::fill(secret.begin(), secret.end(), '\0');
            if (!known) return Fail(error, OSP_E_CONFIG, "a secret of the credentials is missing");
        }
        auto tls = TlsContext::Open(config->ca_file, problem);
        if (tls == nullptr) return Fail(error, OSP_E_CONFIG, problem);
        auto instance = std::make_unique<Instance>(args.host, std::move(*config), std::move(tls));
        *out = static_cast<osp_inst*>(static_cast<void*>(instance.release()));
        return OSP_OK;
    });
}

osp_status StartInstance(osp_inst* instance, osp_error* error) noexcept {
    return Guard(error, [&] { return Self(instance).Start(error); });
}
osp_status DrainInstance(osp_inst* instance, osp_token done, osp_time) noexcept {
    return Guard(nullptr, [&] { return Self(instance).Drain(done); });
}
void StopInstance(osp_inst* instance) noexcept { Self(instance).Stop(); }
void DestroyInstance(osp_inst* instance) noexcept { delete &Self(instance); }

osp_status ReadHealth(osp_inst* instance, osp_health* out) noexcept {
    return Guard(nullptr, [&] {
        osp_health health{};
        Self(instance).Health(health);
        Export(health, out);
        return OSP_OK;
    });
}

osp_status GetCaps(osp_inst* instance, osp_transport_caps* out) noexcept {
    osp_transport_caps caps{};
    caps.flags = OSP_TR_BLOCKING | OSP_TR_PER_RCPT | OSP_TR_SMTPUTF8;
    caps.max_batch = kMaxBatch;
    caps.max_rcpts = kMaxRcpts;
    caps.max_concurrency = static_cast<uint32_t>(Self(instance).config().max_connections);
    caps.max_inflight = caps.max_concurrency * kMaxBatch;
    caps.max_bytes = kMaxBytes;
    Export(caps, out);
    return OSP_OK;
}

osp_status SendBatch(osp_inst* instance, const osp_batch* batch, osp_error* error) noexcept {
    return Guard(error, [&] { return Self(instance).Send(Import<osp_batch>(batch), error); });
}
void CancelToken(osp_inst* instance, osp_token token) noexcept { Self(instance).Cancel(token); }
osp_status ProbeRelay(osp_inst* instance, osp_time deadline, osp_error* error) noexcept {
    return Self(instance).Probe(deadline, error);
}

constexpr osp_instance_vt InstanceTable(decltype(osp_instance_vt::create) create) {
    return {sizeof(osp_instance_vt),
            OSP_INST_CONCURRENT,
            create,
            StartInstance,
            DrainInstance,
            StopInstance,
            DestroyInstance,
            ReadHealth,
            nullptr,
            nullptr};
}

constexpr osp_instance_vt kSmtpInstance = InstanceTable(Create<false>);
constexpr osp_instance_vt kSmtpsInstance = InstanceTable(Create<true>);
constexpr osp_transport_v1 kTransport = {
    sizeof(osp_transport_v1), 0, GetCaps, nullptr, SendBatch, CancelToken, ProbeRelay};

}  // namespace
}  // namespace opensend::smtp_plugin

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
OSP_MANIFEST(
    0,
    R"json({"id":"opensend.smtp","version":"0.1.0","sdk":"1.0.0","license":"Apache-2.0","kinds":["opensend.transport/1:smtp","opensend.transport/1:smtps"],"min_host":"1.0","isolation":["inproc"],"grants":{"secrets":["*"]},"check":{"smtp":{"config":{"host":"{smtp.host}","port":"{smtp.port}","tls":"none","username":"check","password":{"$secret":"check"},"allow_insecure_auth":true}},"smtps":{"config":{"host":"127.0.0.1","port":9}}}})json"
);
#pragma GCC diagnostic pop

const osp_plugin* osp_plugin_v1(void) OSP_NX {
    namespace smtp = opensend::smtp_plugin;
    static const osp_kind kSmtp = {
        sizeof(osp_kind),    0, OSP_KIND_TRANSPORT, "smtp", &smtp::kSmtpInstance, &smtp::kTransport,
        smtp::ConfigSchema()};
    static const osp_kind kSmtps = {sizeof(osp_kind),      0,
                                    OSP_KIND_TRANSPORT,    "smtps",
                                    &smtp::kSmtpsInstance, &smtp::kTransport,
                                    smtp::ConfigSchema()};
    static const osp_kind* const kKinds[] = {&kSmtp, &kSmtps};
    static const osp_plugin kPlugin = {
        sizeof(osp_plugin),
        OSP_MAGIC,
        OSP_ABI_MAJOR,
        OSP_ABI_MINOR,
        0,
        0,
        "opensend.smtp",
        "0.1.0",
        "SMTP relay",
        "OpenSend",
        "Apache-2.0",
        "",
        kKinds,
        2,
        0,
        nullptr,
        nullptr};
    return &kPlugin;
}
