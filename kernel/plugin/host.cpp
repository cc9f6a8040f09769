#include "kernel/plugin/host.h"

#include <algorithm>
#include <utility>

#include "kernel/plugin/host_state.h"

namespace opensend::plugin {

Host::State::State(HostConfig host_config, HostDeps host_deps)
    : config(std::move(host_config)),
      deps(std::move(host_deps)),
      own_breakers(deps.breakers == nullptr ? std::make_unique<model::BreakerBoard>() : nullptr),
      breakers(deps.breakers == nullptr ? *own_breakers : *deps.breakers),
      deadlines("plugin-deadline", *deps.clock),
      registry(config, *deps.clock),
      waker(std::make_shared<base::Guarded<runtime::Worker*>>(nullptr)) {
    tender = std::make_unique<runtime::Worker>("plugin-tend", [this](runtime::StopToken& stop) {
        while (!stop.stopped()) {
            stop.SleepFor(std::chrono::minutes(1));
            if (!stop.stopped()) TendSick();
        }
    });
    waker->With([&](auto& worker) { worker = tender.get(); });
}

Host::State::~State() {
    closing = true;
    waker->With([](auto& worker) { worker = nullptr; });
    tender.reset();
    base::MutexLock lock(control);
    const base::MonoTime deadline = deps.clock->Mono() + config.call_timeout;
    for (auto seat = seats.rbegin(); seat != seats.rend(); ++seat)
        Retire(Exchange(**seat, nullptr), deadline);
}

Host::Host(HostConfig config, HostDeps deps)
    : state_(std::make_unique<State>(std::move(config), std::move(deps))) {
    State& state = *state_;
    base::MutexLock lock(state.control);
    for (const auto& entry : state.registry.entries()) {
        if (entry->config.required && !entry->up) state.fatal.push_back(entry->problem);
    }
    for (const auto& transport : state.config.transports) state.AddTransport(transport);
    for (const auto& name : state.config.auth_backends) state.AddAuth(name);
    state.AddLimiters();
}

Host::~Host() = default;

model::Transport* Host::FindTransport(const std::string& name) {
    base::MutexLock lock(state_->mutex);
    for (const auto& seat : state_->seats) {
        if (!seat->transport || seat->transport->name() != name) continue;
        const bool was_taken_out =
            seat->ended == InstanceState::kQuarantined || seat->ended == InstanceState::kViolation;
        const bool is_found = !seat->removed && (seat->adapter != nullptr || was_taken_out);
        return is_found ? seat->transport.get() : nullptr;
    }
    return nullptr;
}

model::Authenticator& Host::authenticator() { return state_->auth; }

model::RateLimiter* Host::limiter() { return state_->chosen_limiter; }

model::RateLimiter* Host::local_limiter() { return state_->memory_limiter; }

std::vector<std::string> Host::fatal_problems() const { return state_->fatal; }

std::vector<ReloadLine> Host::Reload(HostConfig next) { return state_->Reload(std::move(next)); }

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
