#pragma once

#include <algorithm>
#include <chrono>

#include "kernel/base/clock.h"
#include "kernel/base/mutex.h"

namespace opensend::plugin {

/// One call at a time for an instance, unless it takes them side by side. Thread-safe.
class Strand {
public:
    Strand(const base::Clock& clock, bool concurrent) : clock_(clock), concurrent_(concurrent) {}

    /// False when the deadline came first; then there is nothing to leave.
    bool Enter(base::MonoTime deadline) {
        if (concurrent_) return true;
        base::MutexLock lock(mutex_);
        while (busy_) {
            const auto left = deadline - clock_.Mono();
            if (left.count() <= 0) return false;
            free_.WaitFor(
                lock, std::min<std::chrono::nanoseconds>(left, std::chrono::milliseconds(50))
            );
        }
        busy_ = true;
        return true;
    }
    void Leave() {
        if (concurrent_) return;
        base::MutexLock lock(mutex_);
        busy_ = false;
        free_.NotifyOne();
    }

private:
    const base::Clock& clock_;
    const bool concurrent_;
    base::Mutex mutex_;
    base::CondVar free_;
    bool busy_ OPENSEND_GUARDED_BY(mutex_) = false;
};

}  // namespace opensend::plugin
