#include "kernel/base/clock.h"

#include <atomic>

#include <time.h>

namespace opensend::base {

Time SystemClock::Now() const {
    static std::atomic<int64_t> latest{0};
    const auto now =
        std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    int64_t seen = latest.load(std::memory_order_relaxed);
    while (seen < now && !latest.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
    }
    return {seen < now ? now : seen};
}

MonoTime SystemClock::Mono() const {
    timespec ts{};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return {static_cast<int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec};
}

}  // namespace opensend::base
