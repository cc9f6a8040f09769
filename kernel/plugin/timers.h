#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "kernel/base/clock.h"
#include "kernel/base/mutex.h"
#include "kernel/runtime/worker.h"

namespace opensend::plugin {

/// Calls functions at points of the monotonic clock, one after the other, on one thread of its own.
/// Thread-safe.
class Timers {
public:
    Timers(std::string name, const base::Clock& clock);

    /// Runs `fire(id)` at `at`, then every `period` unless that is zero. Never 0.
    uint64_t Arm(
        base::MonoTime at, std::chrono::nanoseconds period, std::function<void(uint64_t)> fire
    );
    /// When it returns, the function neither runs nor will run; from within the function itself it
    /// ends the repetition only. False: no such timer any more.
    bool Disarm(uint64_t id);
    /// How many are armed.
    size_t size();

private:
    struct Entry {
        base::MonoTime at;
        std::chrono::nanoseconds period;
        std::shared_ptr<std::function<void(uint64_t)>> fire;
    };
    void Loop(runtime::StopToken& stop);
    /// Runs what is due; returns how long to sleep.
    std::chrono::milliseconds RunDue();
    /// Takes the first timer off the list, or to its next turn.
    std::shared_ptr<std::function<void(uint64_t)>> TakeFirst(uint64_t id) OPENSEND_REQUIRES(mutex_);

    const base::Clock& clock_;
    base::Mutex mutex_;
    base::CondVar ended_;
    std::map<uint64_t, Entry> entries_ OPENSEND_GUARDED_BY(mutex_);
    std::map<std::pair<int64_t, uint64_t>, bool> order_ OPENSEND_GUARDED_BY(mutex_);
    uint64_t last_id_ OPENSEND_GUARDED_BY(mutex_) = 0;
    uint64_t running_ OPENSEND_GUARDED_BY(mutex_) = 0;
    std::thread::id runner_ OPENSEND_GUARDED_BY(mutex_);
    runtime::Worker worker_;
};

}  // namespace opensend::plugin
