#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "kernel/base/thread_annotations.h"

namespace opensend::base {

/// A mutex that clang can check: members say OPENSEND_GUARDED_BY(mutex_).
class OPENSEND_CAPABILITY("mutex") Mutex {
public:
    void Lock() OPENSEND_ACQUIRE() { mutex_.lock(); }
    void Unlock() OPENSEND_RELEASE() { mutex_.unlock(); }

private:
    friend class MutexLock;
    std::mutex mutex_;
};

/// Holds a Mutex for a scope.
class OPENSEND_SCOPED_CAPABILITY MutexLock {
public:
    explicit MutexLock(Mutex& mutex) OPENSEND_ACQUIRE(mutex) : lock_(mutex.mutex_) {}
    ~MutexLock() OPENSEND_RELEASE() {}
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;
    /// Lets go before the end of the scope.
    void Unlock() OPENSEND_RELEASE() { lock_.unlock(); }
    void Lock() OPENSEND_ACQUIRE() { lock_.lock(); }

private:
    friend class CondVar;
    std::unique_lock<std::mutex> lock_;
};

/// Wait in a loop over the condition: wake-ups may be spurious.
class CondVar {
public:
    void Wait(MutexLock& lock) { cv_.wait(lock.lock_); }
    /// False when the time passed without a wake-up.
    template <class Rep, class Period>
    bool WaitFor(MutexLock& lock, std::chrono::duration<Rep, Period> timeout) {
        return cv_.wait_for(lock.lock_, timeout) == std::cv_status::no_timeout;
    }
    void NotifyOne() { cv_.notify_one(); }
    void NotifyAll() { cv_.notify_all(); }

private:
    std::condition_variable cv_;
};

}  // namespace opensend::base
