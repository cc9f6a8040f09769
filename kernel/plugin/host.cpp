#include "kernel/plugin/host.h"

#include <algorithm>
#include <utility>

#include "kernel/plugin/instance.h"
#include "kernel/plugin/kinds/authenticators.h"
#include "kernel/plugin/kinds/limiters.h"
#include "kernel/plugin/kinds/transports.h"
#include "kernel/plugin/registry.h"
#include "kernel/plugin/timers.h"

namespace opensend::plugin {
namespace {

constexpr std::string_view kDisabled = "disabled", kMemory = "memory";

}  // namespace

struct Host::State {
    State(HostConfig host_config, HostDeps host_deps)
        : config(std::move(host_config)),
          deps(std::move(host_deps)),
          deadlines("plugin-deadline", *deps.clock),
          registry(config) {}
    ~State();

    Checked<std::unique_ptr<Instance>> MakeInstance(
        const Registry::Found& found, std::string name, std::string json
    );
    void AddTransport(const TransportConfig& transport);
    Checked<std::unique_ptr<PluginTransport>> MakeTransport(
        const TransportConfig& transport, const Registry::Found& found
    );
    void AddAuth(const std::string& name);
    std::unique_ptr<PluginLimiter> MakeLimiter(std::string_view name);
    void AddLimiters();
    /// One per instance: "memory_limit", or "acme/first" when the plugin has several kinds.
    static std::string InstanceName(const Registry::Found& found);

    const HostConfig config;
    const HostDeps deps;
    Timers deadlines;
    Registry registry;
    std::vector<std::unique_ptr<PluginTransport>> transports;
    std::vector<TransportStatus> transport_states;
    AuthChain auth;
    std::unique_ptr<PluginLimiter> chosen_limiter, memory_limiter;
    model::RateLimiter* local = nullptr;
    std::vector<std::string> fatal;
};

Host::State::~State() {
    const base::MonoTime deadline = deps.clock->Mono() + config.call_timeout;
    for (auto it = transports.rbegin(); it != transports.rend(); ++it) (*it)->Shutdown(deadline);
    for (const auto& backend : auth.backends()) {
        if (backend) backend->instance().Drain(deadline);
    }
    for (const auto& limiter : {chosen_limiter.get(), memory_limiter.get()}) {
        if (limiter != nullptr) limiter->instance().Drain(deadline);
    }
}

std::string Host::State::InstanceName(const Registry::Found& found) {
    const std::string& plugin = found.plugin->config.name;
    return found.plugin->kinds.size() == 1 ? plugin : base::Cat(plugin, "/", found.kind->name);
}

Checked<std::unique_ptr<Instance>> Host::State::MakeInstance(
    const Registry::Found& found, std::string name, std::string json
) {
    const bool is_auth = found.kind->iface == OSP_KIND_AUTH;
    return Instance::Make(
        {std::move(name), std::move(json), *found.kind, found.plugin->loaded.load, is_auth}, deps,
        found.plugin->counters, config.call_timeout
    );
}

Checked<std::unique_ptr<PluginTransport>> Host::State::MakeTransport(
    const TransportConfig& transport, const Registry::Found& found
) {
    auto instance = MakeInstance(
        found, base::Cat("transport.", transport.name),
        transport.config_json.empty() ? "{}" : transport.config_json
    );
    if (!instance.ok()) return base::Failure{instance.error()};
    return PluginTransport::Make(
        transport.name, std::move(*instance), deadlines, config.call_timeout
    );
}

void Host::State::AddTransport(const TransportConfig& transport) {
    TransportStatus status{transport.name, transport.kind, transport.plugin, false, {}};
    const auto found = transport.plugin.empty()
                           ? registry.Find(OSP_KIND_TRANSPORT, transport.kind)
                           : registry.FindIn(transport.plugin, OSP_KIND_TRANSPORT, transport.kind);
    if (found.empty()) {
        status.problem = registry.Missing(
            OSP_KIND_TRANSPORT, transport.plugin.empty() ? transport.kind : transport.plugin
        );
    } else {
        status.kind = found.front().kind->name;
        status.plugin = found.front().plugin->config.name;
        auto made = MakeTransport(transport, found.front());
        status.up = made.ok();
        if (made.ok()) transports.push_back(std::move(*made));
        if (!made.ok())
            status.problem = Describe(base::Cat("transport.", transport.name), made.error());
    }
    transport_states.push_back(std::move(status));
}

void Host::State::AddAuth(const std::string& name) {
    const auto found = registry.Find(OSP_KIND_AUTH, name);
    if (found.empty()) {
        fatal.push_back(registry.Missing(OSP_KIND_AUTH, name));
        auth.Add(nullptr);
    }
    for (const auto& one : found) {
        auto instance = MakeInstance(one, InstanceName(one), one.plugin->config.config_json);
        auto backend = instance.ok() ? AuthBackend::Make(std::move(*instance), config.call_timeout)
                                     : base::Failure{instance.error()};
        if (!backend.ok()) {
            one.plugin->problem = Describe(InstanceName(one), backend.error());
            fatal.push_back(one.plugin->problem);
        }
        auth.Add(backend.ok() ? std::move(*backend) : nullptr);
    }
}

std::unique_ptr<PluginLimiter> Host::State::MakeLimiter(std::string_view name) {
    const auto found = registry.Find(OSP_KIND_RATELIMIT, name);
    if (found.empty()) {
        fatal.push_back(registry.Missing(OSP_KIND_RATELIMIT, name));
        return nullptr;
    }
    const Registry::Found& one = found.front();
    auto instance = MakeInstance(one, InstanceName(one), one.plugin->config.config_json);
    auto limiter = instance.ok() ? PluginLimiter::Make(std::move(*instance), config.call_timeout)
                                 : base::Failure{instance.error()};
    if (limiter.ok()) return std::move(*limiter);
    one.plugin->problem = Describe(InstanceName(one), limiter.error());
    fatal.push_back(one.plugin->problem);
    return nullptr;
}

void Host::State::AddLimiters() {
    memory_limiter = MakeLimiter(kMemory);
    local = memory_limiter.get();
    const std::string& backend = config.ratelimit_backend;
    const auto found = registry.Find(OSP_KIND_RATELIMIT, backend);
    const bool is_memory =
        backend == kMemory || (!found.empty() && found.front().kind->name == kMemory);
    if (backend.empty() || backend == kDisabled || is_memory) return;
    chosen_limiter = MakeLimiter(backend);
}

Host::Host(HostConfig config, HostDeps deps)
    : state_(std::make_unique<State>(std::move(config), std::move(deps))) {
    for (const auto& entry : state_->registry.entries()) {
        if (entry->config.required && !entry->up) state_->fatal.push_back(entry->problem);
    }
    for (const auto& transport : state_->config.transports) state_->AddTransport(transport);
    for (const auto& name : state_->config.auth_backends) state_->AddAuth(name);
    state_->AddLimiters();
}

Host::~Host() = default;

model::Transport* Host::FindTransport(const std::string& name) {
    for (const auto& transport : state_->transports) {
        if (transport->name() == name) return transport.get();
    }
    return nullptr;
}

model::Authenticator& Host::authenticator() { return state_->auth; }

model::RateLimiter* Host::limiter() {
    const std::string& backend = state_->config.ratelimit_backend;
    if (backend.empty() || backend == kDisabled) return nullptr;
    if (state_->chosen_limiter) return state_->chosen_limiter.get();
    const auto found = state_->registry.Find(OSP_KIND_RATELIMIT, backend);
    return !found.empty() && found.front().kind->name == kMemory ? state_->local : nullptr;
}

model::RateLimiter* Host::local_limiter() { return state_->local; }

std::vector<PluginStatus> Host::plugins() const {
    std::vector<PluginStatus> out;
    for (const auto& entry : state_->registry.entries()) {
        PluginStatus status;
        status.name = entry->config.name;
        status.file = entry->path;
        status.id = entry->loaded.id;
        status.version = entry->loaded.version;
        status.kinds = entry->kinds;
        status.up = entry->up && entry->problem.empty();
        status.problem = entry->problem;
        status.calls = entry->counters->calls;
        status.errors = entry->counters->errors;
        status.late = entry->counters->late;
        out.push_back(std::move(status));
    }
    return out;
}

std::vector<Host::TransportStatus> Host::transports() const { return state_->transport_states; }

std::vector<PluginMetric> Host::metrics() const {
    std::vector<PluginMetric> out;
    const auto add = [&](Instance& instance) {
        const auto some = instance.services().metrics();
        out.insert(out.end(), some.begin(), some.end());
    };
    for (const auto& transport : state_->transports) add(transport->instance());
    for (const auto& backend : state_->auth.backends()) {
        if (backend) add(backend->instance());
    }
    for (const auto* limiter : {&state_->chosen_limiter, &state_->memory_limiter}) {
        if (*limiter) add((*limiter)->instance());
    }
    return out;
}

std::vector<std::string> Host::fatal_problems() const { return state_->fatal; }

InspectReport Inspect(const std::string& path) {
    InspectReport report;
    const auto file = PassGate(path, {});
    if (!file.ok()) {
        report.findings.push_back(Describe(path, file.error()));
        return report;
    }
    report.ok = true;
    report.manifest_json = (*file)->note().json;
    return report;
}

}  // namespace opensend::plugin
