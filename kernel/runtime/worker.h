#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "kernel/base/mutex.h"

namespace opensend::runtime {

/// Tells a waiting loop to end; waits that can be interrupted. Thread-safe.
class StopToken {
public:
    bool stopped() const;
    /// Returns early, with false, when stopped or woken.
    bool SleepFor(std::chrono::milliseconds time);
    void Wake();
    void Stop();

private:
    mutable base::Mutex mutex_;
    base::CondVar changed_;
    bool stopped_ OPENSEND_GUARDED_BY(mutex_) = false;
    uint64_t wakes_ OPENSEND_GUARDED_BY(mutex_) = 0;
};

/// One named thread, stopped and joined by its owner's destructor; the body runs at least once,
/// even when the stop comes before it began. An exception that leaves the body is logged and the
/// body runs again after a second: a worker never dies silently.
class Worker {
public:
    Worker(std::string name, std::function<void(StopToken&)> body);
    ~Worker();
    /// Ends a SleepFor of the body: there is work.
    void Wake();

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Bounded queue and threads. Thread-safe.
class WorkerPool {
public:
    WorkerPool(std::string name, size_t threads, size_t max_queue);
    ~WorkerPool();  // runs what is queued, then joins
    /// False when the queue is full: nothing was taken.
    bool Run(std::function<void()> task);
    size_t queued() const;
    /// One thread more, in place of one that does not come back.
    void AddThread();
    /// One thread fewer: the next one that is idle ends.
    void DropThread();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace opensend::runtime
