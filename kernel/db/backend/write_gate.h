#pragma once

#include <array>
#include <deque>

#include "kernel/base/mutex.h"
#include "kernel/db/pool.h"

namespace opensend::db {

/// Lets one thread at a time through: by plane, then in order of arrival. Who was passed over
/// kMaxPassed times goes next. Thread-safe.
class WriteGate {
public:
    static constexpr int kMaxPassed = 16;

    /// False when `wait` went by without a turn.
    bool Enter(Plane plane, base::Duration wait);
    void Leave();
    size_t waiting() const;

private:
    struct Waiter {
        base::CondVar turn;
        bool admitted = false;
        int passed = 0;
    };
    Waiter* TakeNext() OPENSEND_REQUIRES(mutex_);

    mutable base::Mutex mutex_;
    bool taken_ OPENSEND_GUARDED_BY(mutex_) = false;
    std::array<std::deque<Waiter*>, 4> queues_ OPENSEND_GUARDED_BY(mutex_);
};

}  // namespace opensend::db
