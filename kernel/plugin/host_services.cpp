#include "kernel/plugin/host_services.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <optional>
#include <utility>

#include "kernel/base/text.h"
#include "kernel/plugin/load/import.h"
#include "kernel/runtime/log.h"

namespace opensend::plugin {
namespace {

constexpr size_t kMaxLogText = 4096, kMaxLogField = 1024;
constexpr uint32_t kMaxLogFields = 32, kMaxLabels = 8;
constexpr size_t kMaxMetrics = 64, kMaxTimers = 1024;
constexpr auto kStrandPatience = std::chrono::seconds(1);

std::string TextOf(osp_str text, size_t max) {
    return text.ptr == nullptr ? std::string() : std::string(text.ptr, std::min(text.len, max));
}
std::string_view ViewOf(osp_str text) {
    return text.ptr == nullptr ? std::string_view() : std::string_view(text.ptr, text.len);
}
std::string_view ViewOf(osp_bytes bytes) {
    if (bytes.ptr == nullptr) return {};
    return {reinterpret_cast<const char*>(bytes.ptr), bytes.len};
}
osp_str StrOf(std::string_view text) { return {text.data(), text.size()}; }

/// Nothing of ours unwinds into a plugin.
template <class F>
osp_status Shielded(F&& call) noexcept {
    try {
        return std::forward<F>(call)();
    } catch (const std::exception&) {
        return OSP_E_UNAVAILABLE;
    }
}

}  // namespace

/// The C functions of the services; each finds its HostServices through osp_host.self.
struct ServiceTables {
    static HostServices& Of(const osp_host* host) { return HostServices::Of(host); }
    static bool Closed(const osp_host* host) { return Of(host).closed_; }

    static const void* GetInterface(const osp_host* host, const char* id) noexcept {
        if (id == nullptr || Closed(host)) return nullptr;
        return Of(host).Find(id);
    }
    static osp_status Complete(
        const osp_host* host, osp_token token, const osp_completion* source
    ) noexcept {
        osp_completion completion{};
        if (!Import(source, OPENSEND_SIZE_THROUGH(osp_completion, status), completion))
            return OSP_E_INVALID;
        return Shielded([&] {
            HostServices& self = Of(host);
            const uint64_t stale = self.tokens_.stale_count();
            const osp_status status = self.tokens_.Complete(token, completion);
            if (status == OSP_E_STATE && self.tokens_.stale_count() != stale)
                self.vitals_.CountStale();
            return status;
        });
    }
    static void Log(
        const osp_host* host, int32_t level, osp_str text, const osp_kv* fields, uint32_t n
    ) noexcept {
        if (Closed(host)) return;
        Shielded([&]() -> osp_status {
            Of(host).Log(level, text, fields, n);
            return OSP_OK;
        });
    }
    static osp_time Now(const osp_host* host) noexcept {
        return static_cast<osp_time>(Of(host).deps_.clock->Mono().ns);
    }
    static int64_t UnixMs(const osp_host* host) noexcept {
        return Of(host).deps_.clock->Now().us / 1000;
    }

    static uint64_t MetricDefine(
        const osp_host* host, int32_t, osp_str name, osp_str, const osp_kv* labels, uint32_t n
    ) noexcept {
        uint64_t handle = 0;
        Shielded([&]() -> osp_status {
            handle = Of(host).DefineMetric(name, labels, n);
            return OSP_OK;
        });
        return handle;
    }
    static void MetricAdd(const osp_host* host, uint64_t handle, int64_t v) noexcept {
        if (auto* metric = Of(host).FindMetric(handle))
            metric->value.fetch_add(v, std::memory_order_relaxed);
    }
    static void MetricObserve(const osp_host* host, uint64_t handle, double v) noexcept {
        auto* metric = Of(host).FindMetric(handle);
        if (metric == nullptr) return;
        metric->value.fetch_add(1, std::memory_order_relaxed);
        metric->sum.fetch_add(v, std::memory_order_relaxed);
    }

    static osp_status SecretWith(
        const osp_host* host, osp_str ref, void (*use)(void*, osp_bytes) noexcept, void* ctx
    ) noexcept {
        if (Closed(host)) return OSP_E_STATE;
        if (use == nullptr) return OSP_E_INVALID;
        return Shielded([&] { return Of(host).WithSecret(ViewOf(ref), use, ctx); });
    }
    static osp_status
    SecretWatch(const osp_host*, osp_str, void (*)(void*) noexcept, void*) noexcept {
        return OSP_E_UNSUPPORTED;
    }

    static uint64_t TimerArm(
        const osp_host* host,
        osp_time at,
        uint64_t period_ns,
        void (*fire)(void*, uint64_t) noexcept,
        void* ctx
    ) noexcept {
        if (Closed(host) || fire == nullptr) return 0;
        uint64_t id = 0;
        Shielded([&]() -> osp_status {
            HostServices& self = Of(host);
            if (self.PluginTimers().size() >= kMaxTimers) return OSP_E_TOOBIG;
            id = self.PluginTimers().Arm(
                {static_cast<int64_t>(at)}, std::chrono::nanoseconds(period_ns),
                [&self, fire, ctx](uint64_t timer) {
                    // A strand that stays busy costs this turn, never the thread.
                    RunOnStrand(
                        self.strand_, self.vitals_, self.deps_.clock->Mono() + kStrandPatience,
                        "timer", [&] { fire(ctx, timer); }
                    );
                }
            );
            return OSP_OK;
        });
        return id;
    }
    static osp_status TimerDisarm(const osp_host* host, uint64_t id) noexcept {
        if (Closed(host)) return OSP_E_STATE;
        return Shielded([&]() -> osp_status {
            return Of(host).PluginTimers().Disarm(id) ? OSP_OK : OSP_E_NOTFOUND;
        });
    }

    static osp_status CredentialFind(
        const osp_host* host,
        osp_str key_ref,
        osp_time,
        void (*done)(void*, osp_status, const osp_credential*) noexcept,
        void* ctx
    ) noexcept {
        if (Closed(host)) return OSP_E_STATE;
        if (done == nullptr) return OSP_E_INVALID;
        const osp_status status =
            Shielded([&] { return Of(host).FindCredential(key_ref, done, ctx); });
        if (status == OSP_E_UNAVAILABLE) Of(host).vitals_.CountHostFailure();
        return status;
    }
    static osp_status CredentialMac(
        const osp_host* host, uint32_t kid, osp_bytes data, uint8_t out[32]
    ) noexcept {
        if (Closed(host)) return OSP_E_STATE;
        return Shielded([&]() -> osp_status {
            const auto mac = Of(host).deps_.credentials->PepperMac(kid, ViewOf(data));
            if (!mac || mac->size() != 32) return OSP_E_NOTFOUND;
            std::memcpy(out, mac->data(), 32);
            return OSP_OK;
        });
    }

    static osp_status KvGet(
        const osp_host* host,
        osp_str key,
        void (*use)(void*, osp_bytes, uint64_t version) noexcept,
        void* ctx
    ) noexcept {
        if (Closed(host)) return OSP_E_STATE;
        return Shielded([&] { return Of(host).kv_->Get(key, use, ctx); });
    }
    static osp_status KvPut(
        const osp_host* host, osp_str key, osp_bytes value, uint64_t expected, uint64_t ttl_ns
    ) noexcept {
        if (Closed(host)) return OSP_E_STATE;
        return Shielded([&] { return Of(host).kv_->Put(key, value, expected, ttl_ns); });
    }
    static osp_status KvDelete(const osp_host* host, osp_str key, uint64_t expected) noexcept {
        if (Closed(host)) return OSP_E_STATE;
        return Shielded([&] { return Of(host).kv_->Delete(key, expected); });
    }

    static uint64_t HttpStart(
        const osp_host* host, const osp_http_call* source, osp_error* error
    ) noexcept {
        osp_http_call call{};
        if (Closed(host)) return 0;
        if (!Import(source, OPENSEND_SIZE_THROUGH(osp_http_call, done), call)) return 0;
        uint64_t id = 0;
        Shielded([&]() -> osp_status {
            id = Of(host).http_->Start(call, error);
            return OSP_OK;
        });
        return id;
    }
    static void HttpCancel(const osp_host* host, uint64_t id) noexcept {
        if (Closed(host)) return;
        Shielded([&]() -> osp_status {
            Of(host).http_->Cancel(id);
            return OSP_OK;
        });
    }

    static constexpr osp_host_kv_v1 kKv{sizeof(osp_host_kv_v1), 0, KvGet, KvPut, KvDelete};
    static constexpr osp_host_http_v1 kHttp{sizeof(osp_host_http_v1), 0, HttpStart, HttpCancel};
    static constexpr osp_host_metric_v1 kMetric{
        sizeof(osp_host_metric_v1), 0, MetricDefine, MetricAdd, MetricObserve};
    static constexpr osp_host_secret_v1 kSecret{
        sizeof(osp_host_secret_v1), 0, SecretWith, SecretWatch};
    static constexpr osp_host_timer_v1 kTimer{sizeof(osp_host_timer_v1), 0, TimerArm, TimerDisarm};
    static constexpr osp_host_credential_v1 kCredential{
        sizeof(osp_host_credential_v1), 0, CredentialFind, CredentialMac};
};

HostServices::HostServices(
    const HostDeps& deps,
    std::string instance,
    bool grant_credentials,
    TokenTable& tokens,
    Strand& strand,
    Vitals& vitals,
    Grants grants,
    SecretScope secrets
)
    : deps_(deps),
      instance_(std::move(instance)),
      grant_credentials_(grant_credentials && deps.credentials != nullptr),
      tokens_(tokens),
      strand_(strand),
      vitals_(vitals),
      grants_(std::move(grants)),
      secrets_(std::make_shared<const SecretScope>(std::move(secrets))) {
    if (deps.kv != nullptr && grants_.kv_bytes > 0)
        kv_ = std::make_unique<KvService>(*deps.kv, instance_, grants_.kv_bytes);
    if (deps.http != nullptr && !grants_.http.empty())
        http_ = std::make_unique<HttpService>(
            HttpService::Deps{deps.http, deps.guard, deps.resolve}, grants_.http, strand, vitals,
            *deps.clock
        );
    table_ = {
        sizeof table_,
        OSP_MAGIC,
        OSP_ABI_MAJOR,
        OSP_ABI_MINOR,
        0,
        "opensend",
        "1",
        this,
        ServiceTables::GetInterface,
        ServiceTables::Complete,
        ServiceTables::Log,
        ServiceTables::Now,
        ServiceTables::UnixMs};
}

HostServices::~HostServices() { Close(); }

void HostServices::CancelOutgoing() {
    if (http_) http_->CancelAll();
}

void HostServices::SetSecrets(SecretScope secrets) {
    auto next = std::make_shared<const SecretScope>(std::move(secrets));
    secrets_.With([&](auto& current) { current = std::move(next); });
}

void HostServices::Close() {
    closed_ = true;
    if (http_) http_->Close();
    std::unique_ptr<Timers> timers;
    {
        base::MutexLock lock(mutex_);
        timers = std::move(timers_);
    }
}

const void* HostServices::Find(std::string_view id) const {
    if (id == OSP_HOST_METRIC) return &ServiceTables::kMetric;
    if (id == OSP_HOST_TIMER && grants_.timers) return &ServiceTables::kTimer;
    if (id == OSP_HOST_SECRET) return &ServiceTables::kSecret;
    if (id == OSP_HOST_KV && kv_) return &ServiceTables::kKv;
    if (id == OSP_HOST_HTTP && http_) return &ServiceTables::kHttp;
    if (id == OSP_HOST_CREDENTIAL && grant_credentials_) return &ServiceTables::kCredential;
    return nullptr;
}

osp_status HostServices::WithSecret(
    std::string_view ref, void (*use)(void*, osp_bytes) noexcept, void* ctx
) {
    const auto scope = secrets_.With([](const auto& current) { return current; });
    // What stands in its own configuration is meant for it; the rest needs the grant. A file is
    // never covered by a pattern of names.
    const std::string own = base::Cat(R"({"$secret":)", runtime::QuoteJson(ref), "}");
    constexpr std::string_view kNamed = "secret:";
    const bool is_named = ref.substr(0, kNamed.size()) == kNamed;
    const bool granted = is_named && grants_.CoversSecret(ref.substr(kNamed.size()));
    if (!granted && scope->config_json.find(own) == std::string::npos) return OSP_E_DENIED;
    std::optional<base::Secret> secret;
    {
        const HostTime waiting;
        if (scope->source) {
            secret = scope->source(ref);
        } else if (deps_.secret) {
            secret = deps_.secret(ref);
        }
    }
    if (!secret) return OSP_E_NOTFOUND;
    const std::string_view bytes = secret->Reveal();
    use(ctx, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    return OSP_OK;
}

void HostServices::Log(int32_t level, osp_str text, const osp_kv* fields, uint32_t n) {
    if (!deps_.log) return;
    std::vector<std::pair<std::string, std::string>> pairs;
    for (uint32_t i = 0; fields != nullptr && i < std::min(n, kMaxLogFields); ++i)
        pairs.emplace_back(
            TextOf(fields[i].key, kMaxLogField), TextOf(fields[i].value, kMaxLogField)
        );
    deps_.log(std::clamp(level, 0, 4), instance_, TextOf(text, kMaxLogText), pairs);
}

uint64_t HostServices::DefineMetric(osp_str name, const osp_kv* labels, uint32_t n) {
    const std::string plain = TextOf(name, 128);
    std::string text;
    for (uint32_t i = 0; labels != nullptr && i < std::min(n, kMaxLabels); ++i) {
        if (i > 0) text += ',';
        text += TextOf(labels[i].key, 64) + "=" + TextOf(labels[i].value, 64);
    }
    base::MutexLock lock(mutex_);
    for (size_t i = 0; i < metrics_.size(); ++i) {
        if (metrics_[i].name == plain && metrics_[i].labels == text) return i + 1;
    }
    if (plain.empty() || metrics_.size() >= kMaxMetrics) return 0;
    Metric& metric = metrics_.emplace_back();
    metric.name = plain;
    metric.labels = text;
    return metrics_.size();
}

HostServices::Metric* HostServices::FindMetric(uint64_t handle) {
    base::MutexLock lock(mutex_);
    return handle == 0 || handle > metrics_.size() ? nullptr : &metrics_[handle - 1];
}

std::vector<PluginMetric> HostServices::metrics() const {
    base::MutexLock lock(mutex_);
    std::vector<PluginMetric> out;
    for (const Metric& metric : metrics_)
        out.push_back({instance_, metric.name, metric.labels, metric.value, metric.sum});
    return out;
}

osp_status HostServices::FindCredential(
    osp_str key_ref, void (*done)(void*, osp_status, const osp_credential*) noexcept, void* ctx
) {
    std::optional<model::StoredCredential> stored;
    {
        const HostTime waiting;
        stored = deps_.credentials->FindCredential(ViewOf(key_ref));
    }
    osp_credential out{};
    out.size = sizeof out;
    if (!stored || stored->mac.size() != sizeof out.mac) {
        out.pepper_kid = deps_.credentials->active_pepper();
        done(ctx, OSP_E_NOTFOUND, &out);
        return OSP_PENDING;
    }
    out.subject = StrOf(stored->subject);
    out.tenant = StrOf(stored->tenant);
    out.scope = StrOf(stored->scope);
    std::memcpy(out.mac, stored->mac.data(), sizeof out.mac);
    out.pepper_kid = stored->pepper_kid;
    done(ctx, OSP_OK, &out);
    return OSP_PENDING;
}

Timers& HostServices::PluginTimers() {
    base::MutexLock lock(mutex_);
    if (!timers_) timers_ = std::make_unique<Timers>("plugin-timer", *deps_.clock);
    return *timers_;
}

}  // namespace opensend::plugin
