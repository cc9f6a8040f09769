#pragma once

#include <utility>

#include "kernel/base/mutex.h"

namespace opensend::base {

/// A value that is reachable only under its lock: routes.With([](Routes& r) { … }).
template <class T>
class Guarded {
public:
    Guarded() = default;
    explicit Guarded(T value) : value_(std::move(value)) {}

    /// Runs `f(value)` under the lock and returns its result. `f` must not call back into this.
    template <class F>
    auto With(F&& f) {
        MutexLock lock(mutex_);
        return std::forward<F>(f)(value_);
    }
    template <class F>
    auto With(F&& f) const {
        MutexLock lock(mutex_);
        return std::forward<F>(f)(value_);
    }

private:
    mutable Mutex mutex_;
    T value_ OPENSEND_GUARDED_BY(mutex_);
};

}  // namespace opensend::base
