#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace opensend::base {

using Duration = std::chrono::microseconds;

/// A UTC instant in microseconds since 1970. Zero means "none" where a field says so.
struct Time {
    int64_t us = 0;

    friend auto operator<=>(const Time&, const Time&) = default;
    friend Time operator+(Time t, Duration d) { return {t.us + d.count()}; }
    friend Time operator-(Time t, Duration d) { return {t.us - d.count()}; }
    friend Duration operator-(Time a, Time b) { return Duration(a.us - b.us); }
    /// Whole seconds since 1970, rounded down.
    int64_t Seconds() const { return us >= 0 ? us / 1'000'000 : (us - 999'999) / 1'000'000; }
    /// Cut to milliseconds, the precision of every timestamp that leaves the process.
    Time Millis() const { return {us - ((us % 1000) + 1000) % 1000}; }
};

/// A point on the monotonic clock in nanoseconds: intervals and deadlines only, never stored.
struct MonoTime {
    int64_t ns = 0;

    friend auto operator<=>(const MonoTime&, const MonoTime&) = default;
    friend MonoTime operator+(MonoTime t, std::chrono::nanoseconds d) { return {t.ns + d.count()}; }
    friend std::chrono::nanoseconds operator-(MonoTime a, MonoTime b) {
        return std::chrono::nanoseconds(a.ns - b.ns);
    }
};

/// Where time comes from. Thread-safe. Tests pass a clock that they move.
class Clock {
public:
    virtual ~Clock() = default;
    virtual Time Now() const = 0;
    virtual MonoTime Mono() const = 0;
};

/// The machine's clocks; Now() never goes back within a run (SEND-15).
class SystemClock final : public Clock {
public:
    Time Now() const override;
    MonoTime Mono() const override;
};

}  // namespace opensend::base
