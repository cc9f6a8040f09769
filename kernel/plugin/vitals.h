#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/base/clock.h"
#include "kernel/base/guarded.h"
#include "kernel/base/scope_exit.h"
#include "kernel/model/breaker.h"
#include "kernel/plugin/strand.h"
#include "kernel/plugin/token_table.h"

namespace opensend::plugin {

/// Where an instance is in its life, as operators see it.
enum class InstanceState { kStarting = 1, kRunning, kDraining, kQuarantined, kViolation, kStopped };
const char* ToText(InstanceState state);

/// The health of one instance: what it did wrong, and when that is enough to take it out of
/// service. Thread-safe; called from inside calls of the plugin.
class Vitals {
public:
    /// `on_sick` is called once, when the instance must be taken out; it only leaves a note.
    /// `audit` gets a violation.
    struct Hooks {
        std::function<void()> on_sick;
        std::function<void(std::string_view event, const std::string&, std::string_view)> audit;
        bool apart = false;  // it runs in a process that is ended when it hangs
    };
    Vitals(
        std::string instance,
        std::string plugin,
        std::shared_ptr<PluginCounters> counters,
        std::shared_ptr<model::SharedBreaker> breaker,
        Hooks hooks
    );

    /// False once it is quarantined or has broken a rule: no calls any more.
    bool well() const { return well_.load(std::memory_order_acquire); }
    InstanceState state() const;
    std::string why() const;
    void SetState(InstanceState state);

    /// A completion for no open token that is not just late; ten of them end it.
    void CountStale();
    /// A thread that does not come back by the deadline; three at a time end it, unless it runs
    /// apart.
    void LoseThread();
    void ThreadIsBack() { --lost_now_; }
    /// What it was lent came back changed: it ends here.
    void Violate(std::string_view what);

    /// The call `fn` took so long; `on_strand`: apart from the time inside the host it should not
    /// have.
    void Took(std::string_view fn, std::chrono::nanoseconds time, bool on_strand);
    /// A call waited for the strand until its deadline: what runs there does not end.
    void WaitedInVain(std::string_view fn);
    /// A call on the strand lasted more than 100 ms: callers no longer lend it their thread.
    bool needs_pool() const { return needs_pool_.load(std::memory_order_relaxed); }

    /// A service of the host could not do its part: no fault of the plugin.
    void CountHostFailure() { ++host_failures_; }
    uint64_t host_failures() const { return host_failures_.load(); }

    model::SharedBreaker& breaker() { return *breaker_; }
    const std::shared_ptr<model::SharedBreaker>& shared_breaker() const { return breaker_; }
    const std::string& plugin() const { return plugin_; }
    PluginCounters& counters() { return *counters_; }

private:
    void End(InstanceState state, std::string why);
    void MoveToPool(std::string_view fn);

    const std::string instance_, plugin_;
    const std::shared_ptr<PluginCounters> counters_;
    const std::shared_ptr<model::SharedBreaker> breaker_;
    const Hooks hooks_;
    std::atomic<bool> well_{true}, needs_pool_{false};
    std::atomic<uint32_t> stale_{0};
    std::atomic<int> lost_now_{0};
    std::atomic<uint64_t> host_failures_{0};
    struct Shown {
        InstanceState state = InstanceState::kStarting;
        std::string why;
    };
    base::Guarded<Shown> shown_;
};

/// Time that this thread spends in the host on a plugin's behalf is not the plugin's.
class HostTime {
public:
    HostTime();
    ~HostTime();
    HostTime(const HostTime&) = delete;
    HostTime& operator=(const HostTime&) = delete;
    /// Sum for this thread so far.
    static std::chrono::nanoseconds Sum();

private:
    const std::chrono::steady_clock::time_point since_;
};

/// Runs `call` as the strand's one call and takes its time. False: the strand was not free before
/// `deadline`, nothing ran.
template <class F>
bool RunOnStrand(
    Strand& strand, Vitals& vitals, base::MonoTime deadline, const char* fn, F&& call
) {
    if (!strand.Enter(deadline)) {
        vitals.WaitedInVain(fn);
        return false;
    }
    const auto before = std::chrono::steady_clock::now() - HostTime::Sum();
    const base::ScopeExit leave([&] {
        strand.Leave();
        vitals.Took(fn, std::chrono::steady_clock::now() - HostTime::Sum() - before, true);
    });
    std::forward<F>(call)();
    return true;
}

}  // namespace opensend::plugin
