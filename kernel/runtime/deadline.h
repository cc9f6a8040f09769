#pragma once

#include <algorithm>
#include <chrono>

#include "kernel/base/clock.h"

namespace opensend::runtime {

/// The latest moment of one piece of work, on the clock it was made from. The clock outlives it.
class Deadline {
public:
    static Deadline After(const base::Clock& clock, std::chrono::nanoseconds time) {
        return Deadline(clock, clock.Mono() + std::max(time, std::chrono::nanoseconds(0)));
    }
    static Deadline At(const base::Clock& clock, base::MonoTime at) { return Deadline(clock, at); }

    /// Never negative.
    std::chrono::nanoseconds Remaining() const {
        return std::max(at_ - clock_->Mono(), std::chrono::nanoseconds(0));
    }
    bool Expired() const { return clock_->Mono() >= at_; }
    base::MonoTime at() const { return at_; }
    /// The earlier of this and `time` from now.
    Deadline AtMost(std::chrono::nanoseconds time) const {
        return Deadline(*clock_, std::min(at_, clock_->Mono() + time));
    }

private:
    Deadline(const base::Clock& clock, base::MonoTime at) : clock_(&clock), at_(at) {}

    const base::Clock* clock_;
    base::MonoTime at_;
};

}  // namespace opensend::runtime
