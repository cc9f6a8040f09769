#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "kernel/base/clock.h"

namespace opensend::runtime {

/// Paces what we do to others: `count` units in `period`, a tenth of a second's worth at once but
/// one unit at least. One thread at a time.
class TokenBucket {
public:
    TokenBucket(uint64_t count, std::chrono::microseconds period)
        : step_(std::max<int64_t>(1, period.count() * 1'000 / static_cast<int64_t>(count))),
          burst_(std::max<int64_t>(step_, 100'000'000)) {}

    /// Takes one unit, or takes none and says how long until there is one.
    std::chrono::nanoseconds Take(base::MonoTime now) {
        const int64_t next = std::max(next_, now.ns) + step_;
        if (next - now.ns > burst_) return std::chrono::nanoseconds(next - now.ns - burst_);
        next_ = next;
        return std::chrono::nanoseconds(0);
    }

private:
    const int64_t step_;
    const int64_t burst_;
    int64_t next_ = 0;
};

}  // namespace opensend::runtime
