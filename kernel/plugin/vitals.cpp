#include "kernel/plugin/vitals.h"

#include <utility>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"

namespace opensend::plugin {
namespace {

constexpr uint32_t kStaleLimit = 10;
constexpr int kLostThreadLimit = 3;
constexpr std::chrono::nanoseconds kStrandLimit = std::chrono::milliseconds(1);
constexpr std::chrono::nanoseconds kStrandPatienceLimit = std::chrono::milliseconds(100);

thread_local std::chrono::nanoseconds time_in_host{0};

}  // namespace

const char* ToText(InstanceState state) {
    switch (state) {
        case InstanceState::kStarting: return "starting";
        case InstanceState::kRunning: return "running";
        case InstanceState::kDraining: return "draining";
        case InstanceState::kQuarantined: return "quarantined";
        case InstanceState::kViolation: return "violation";
        case InstanceState::kStopped: return "stopped";
    }
    OPENSEND_CHECK(false, "a state of an instance");
    return "";
}

Vitals::Vitals(
    std::string instance,
    std::string plugin,
    std::shared_ptr<PluginCounters> counters,
    std::shared_ptr<model::SharedBreaker> breaker,
    Hooks hooks
)
    : instance_(std::move(instance)),
      plugin_(std::move(plugin)),
      counters_(std::move(counters)),
      breaker_(breaker ? std::move(breaker) : std::make_shared<model::SharedBreaker>()),
      hooks_(std::move(hooks)) {}

InstanceState Vitals::state() const {
    return shown_.With([](const Shown& shown) { return shown.state; });
}

std::string Vitals::why() const {
    return shown_.With([](const Shown& shown) { return shown.why; });
}

void Vitals::SetState(InstanceState state) {
    shown_.With([&](Shown& shown) {
        const bool ended =
            shown.state == InstanceState::kQuarantined || shown.state == InstanceState::kViolation;
        if (!ended) shown.state = state;
    });
}

void Vitals::End(InstanceState state, std::string why) {
    if (!well_.exchange(false)) return;
    shown_.With([&](Shown& shown) { shown = {state, why}; });
    breaker_->Hold();
    OPENSEND_LOG(
        kError, "plugin.out_of_service", "an instance of a plugin is taken out of service",
        kv("instance", instance_), kv("plugin", plugin_), kv("state", ToText(state)),
        kv("problem", why)
    );
    if (hooks_.on_sick) hooks_.on_sick();
}

void Vitals::CountStale() {
    if (++stale_ == kStaleLimit)
        End(InstanceState::kQuarantined,
            base::Cat("completed ", kStaleLimit, " tokens that were not open"));
}

void Vitals::LoseThread() {
    ++counters_->lost;
    if (++lost_now_ == kLostThreadLimit && !hooks_.apart)
        End(InstanceState::kQuarantined,
            base::Cat(kLostThreadLimit, " calls did not come back by their deadline"));
}

void Vitals::Violate(std::string_view what) {
    ++counters_->violations;
    OPENSEND_LOG(
        kError, "plugin.violation", "a plugin changed what it was lent", kv("instance", instance_),
        kv("plugin", plugin_), kv("changed", what)
    );
    if (hooks_.audit) hooks_.audit("plugin.violation", instance_, what);
    End(InstanceState::kViolation, base::Cat("changed the ", what, " of what it was lent"));
}

void Vitals::Took(std::string_view fn, std::chrono::nanoseconds time, bool on_strand) {
    counters_->latency.Add(time);
    const double seconds = std::chrono::duration<double>(time).count();
    runtime::Observe("opensend_plugin_seconds", {plugin_, fn}, seconds);
    runtime::Observe("opensend_plugin_instance_seconds", {instance_, fn}, seconds);
    if (!on_strand || time <= kStrandLimit) return;
    ++counters_->slow;
    if (time > kStrandPatienceLimit) MoveToPool(fn);
}

void Vitals::WaitedInVain(std::string_view fn) {
    ++counters_->slow;
    MoveToPool(fn);
}

void Vitals::MoveToPool(std::string_view fn) {
    if (needs_pool_.exchange(true)) return;
    OPENSEND_LOG(
        kWarn, "plugin.blocks", "a plugin blocks where it may not; its calls move to threads apart",
        kv("instance", instance_), kv("fn", fn)
    );
}

HostTime::HostTime() : since_(std::chrono::steady_clock::now()) {}
HostTime::~HostTime() { time_in_host += std::chrono::steady_clock::now() - since_; }
std::chrono::nanoseconds HostTime::Sum() { return time_in_host; }

}  // namespace opensend::plugin
