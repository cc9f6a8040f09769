#include <utility>

#include "kernel/crypto/digest.h"
#include "kernel/json/value.h"
#include "kernel/plugin/host_state.h"

namespace opensend::plugin {
namespace {

constexpr std::string_view kMemoryKind = "memory";
constexpr std::chrono::seconds kSickPatience{2};

/// One per instance: "memory_limit", or "acme/first" when the plugin has several kinds.
std::string InstanceName(const Registry::Found& found) {
    const std::string& plugin = found.plugin->config.name;
    return found.plugin->kinds.size() == 1 ? plugin : base::Cat(plugin, "/", found.kind->name);
}

/// The typed object of an adapter that was made for this kind of seat.
template <class T>
std::unique_ptr<T> Typed(std::unique_ptr<Adapter> adapter) {
    return std::unique_ptr<T>(static_cast<T*>(adapter.release()));
}

}  // namespace

std::string DigestOfSecrets(const std::string& config_json, const SecretSource& source) {
    const auto document = json::Document::Parse(config_json);
    if (!document.ok() || !source) return {};
    crypto::Sha256Stream hash;
    const json::Value root = document->root();
    for (size_t i = 0; i < root.size() && root.IsObject(); ++i) {
        const json::Value reference = root.MemberAt(i).Find("$secret");
        if (!reference.IsString()) continue;
        const auto secret = source(reference.AsString());
        hash.Update(secret ? crypto::Sha256(secret->Reveal()) : std::string("absent"));
    }
    return hash.Finish();
}

SecretSource Host::State::SecretsOf(const HostConfig& from) const {
    return from.secret ? from.secret : deps.secret;
}

Checked<std::unique_ptr<Adapter>> Host::State::MakeAdapter(const Seat& seat, const Plan& plan) {
    InstanceSpec spec;
    spec.name = seat.name;
    spec.config_json = plan.config_json.empty() ? "{}" : plan.config_json;
    spec.kind = *plan.kind;
    spec.load = plan.entry->loaded.load;
    spec.grant_credentials = plan.kind->iface == OSP_KIND_AUTH;
    spec.plugin = plan.entry->config.name;
    spec.grants = plan.grants;
    spec.secret = plan.secret;
    spec.breaker = std::make_shared<model::SharedBreaker>();
    spec.worker = seat.worker;
    spec.on_sick = [wake = waker] {
        wake->With([](runtime::Worker* worker) {
            if (worker != nullptr) worker->Wake();
        });
    };
    auto made = Instance::Make(std::move(spec), deps, seat.counters, config.call_timeout);
    if (!made.ok()) return base::Failure{made.error()};
    const auto widen = [](auto typed) -> Checked<std::unique_ptr<Adapter>> {
        if (!typed.ok()) return base::Failure{typed.error()};
        return std::unique_ptr<Adapter>(std::move(*typed));
    };
    if (seat.transport)
        return widen(PluginTransport::Make(
            seat.transport->name(), std::move(*made), deadlines, config.call_timeout, deps.answers
        ));
    if (seat.auth != nullptr)
        return widen(AuthBackend::Make(std::move(*made), config.call_timeout));
    return widen(PluginLimiter::Make(std::move(*made), config.limiter_timeout));
}

std::unique_ptr<Adapter> Host::State::Exchange(Seat& seat, std::unique_ptr<Adapter> next) {
    const base::MonoTime deadline = deps.clock->Mono() + config.call_timeout;
    Adapter* const adapter = next.get();
    auto breaker = next ? next->instance().vitals().shared_breaker() : nullptr;
    {
        base::MutexLock lock(mutex);
        seat.adapter = adapter;
        if (breaker) seat.breaker = breaker;
    }
    if (breaker) breakers.Put(seat.name, std::move(breaker));
    if (seat.transport)
        return seat.transport->current().Exchange(
            Typed<PluginTransport>(std::move(next)), deadline, *deps.clock
        );
    if (seat.auth != nullptr)
        return seat.auth->Exchange(Typed<AuthBackend>(std::move(next)), deadline, *deps.clock);
    return seat.limiter->current().Exchange(
        Typed<PluginLimiter>(std::move(next)), deadline, *deps.clock
    );
}

void Host::State::Note(Seat& seat, const Plan& plan) {
    std::string digest = DigestOfSecrets(plan.config_json, plan.secret);
    base::MutexLock lock(mutex);
    seat.iface = plan.kind->iface;
    seat.kind = plan.kind->name;
    seat.plugin = plan.entry->config.name;
    seat.version = plan.entry->loaded.version;
    seat.apart = plan.entry->loaded.apart;
    seat.isolation = seat.apart ? "worker" : "inproc";
    seat.config_json = plan.config_json;
    seat.secrets_digest = std::move(digest);
    seat.grants = plan.grants;
    seat.secret = plan.secret;
    seat.problem.clear();
    seat.removed = false;
}

bool Host::State::Retire(std::unique_ptr<Adapter> adapter, base::MonoTime deadline) {
    if (!adapter || adapter->Shutdown(deadline)) return true;
    KeepForGood(std::shared_ptr<Adapter>(std::move(adapter)));
    return false;
}

bool Host::State::Fill(Seat& seat, const Registry::Found& found, const std::string& config_json) {
    const Plan plan{
        found.plugin, found.kind, config_json, found.plugin->granted, SecretsOf(config)};
    Note(seat, plan);
    auto made = MakeAdapter(seat, plan);
    if (!made.ok()) {
        seat.problem = Describe(seat.name, made.error());
        return false;
    }
    ++seat.generation;
    Exchange(seat, std::move(*made));
    return true;
}

void Host::State::AddTransport(const TransportConfig& transport) {
    auto seat = std::make_unique<Seat>();
    seat->name = base::Cat("transport.", transport.name);
    seat->wanted = transport;
    seat->iface = OSP_KIND_TRANSPORT;
    seat->kind = transport.kind;
    seat->plugin = transport.plugin;
    seat->transport = std::make_unique<TransportSeat>(transport.name);
    const auto found = transport.plugin.empty()
                           ? registry.Find(OSP_KIND_TRANSPORT, transport.kind)
                           : registry.FindIn(transport.plugin, OSP_KIND_TRANSPORT, transport.kind);
    if (found.empty()) {
        seat->problem = registry.Missing(
            OSP_KIND_TRANSPORT, transport.plugin.empty() ? transport.kind : transport.plugin
        );
    } else {
        Fill(*seat, found.front(), transport.config_json);
    }
    base::MutexLock lock(mutex);
    seats.push_back(std::move(seat));
}

void Host::State::AddAuth(const std::string& name) {
    const auto found = registry.Find(OSP_KIND_AUTH, name);
    if (found.empty()) {
        fatal.push_back(registry.Missing(OSP_KIND_AUTH, name));
        auth.AddSeat();
    }
    for (const auto& one : found) {
        auto seat = std::make_unique<Seat>();
        seat->name = InstanceName(one);
        seat->auth = &auth.AddSeat();
        if (!Fill(*seat, one, one.plugin->config.config_json)) {
            one.plugin->problem = seat->problem;
            fatal.push_back(seat->problem);
        }
        base::MutexLock lock(mutex);
        seats.push_back(std::move(seat));
    }
}

LimiterSeat* Host::State::AddLimiter(std::string_view name) {
    const auto found = registry.Find(OSP_KIND_RATELIMIT, name);
    if (found.empty()) {
        fatal.push_back(registry.Missing(OSP_KIND_RATELIMIT, name));
        return nullptr;
    }
    const Registry::Found& one = found.front();
    auto seat = std::make_unique<Seat>();
    seat->name = InstanceName(one);
    seat->limiter = std::make_unique<LimiterSeat>(one.kind->name);
    LimiterSeat* place = seat->limiter.get();
    if (!Fill(*seat, one, one.plugin->config.config_json)) {
        one.plugin->problem = seat->problem;
        fatal.push_back(seat->problem);
        place = nullptr;
    }
    base::MutexLock lock(mutex);
    seats.push_back(std::move(seat));
    return place;
}

void Host::State::AddLimiters() {
    memory_limiter = AddLimiter(kMemoryKind);
    const std::string& backend = config.ratelimit_backend;
    if (backend.empty() || backend == "disabled") return;
    const auto found = registry.Find(OSP_KIND_RATELIMIT, backend);
    const bool is_memory =
        backend == kMemoryKind || (!found.empty() && found.front().kind->name == kMemoryKind);
    chosen_limiter = is_memory ? memory_limiter : AddLimiter(backend);
}

void Host::State::TendSick() {
    base::MutexLock lock(control);
    if (closing) return;
    for (const auto& seat : seats) {
        if (seat->adapter == nullptr) continue;
        Vitals& vitals = seat->adapter->instance().vitals();
        if (vitals.well()) continue;
        {
            base::MutexLock short_lock(mutex);
            seat->ended = vitals.state();
            seat->problem = base::Cat(seat->name, ": ", ToText(vitals.state()), ": ", vitals.why());
        }
        Retire(Exchange(*seat, nullptr), deps.clock->Mono() + kSickPatience);
    }
}

}  // namespace opensend::plugin
