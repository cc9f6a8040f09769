#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/time.h"

namespace opensend::base {

/// The rule text that ends a time zone file ("EST5EDT,M3.2.0,M11.1.0").
struct ZoneRule {
    /// One change-over: month form (kind 'M'), day 1-365 without 29 February ('J'), day 0-365
    /// ('N').
    struct Change {
        char kind = 'M';
        int month = 1, week = 1, weekday = 0, day = 0;
        int seconds = 7200;  // local time of day
    };
    int standard_offset = 0;  // seconds east of UTC
    int summer_offset = 0;
    bool has_summer = false;
    Change begin, end;

    int OffsetAt(int64_t utc_seconds) const;
};

std::optional<ZoneRule> ParseZoneRule(std::string_view text);

/// Local time of one IANA zone. Immutable.
class Zone {
public:
    static Zone Utc() { return Fixed(0); }
    /// `offset` is in seconds east of UTC.
    static Zone Fixed(int offset);
    /// Reads the system's time zone files, the name in any case. UTC and the four US zones that
    /// have short names are known without files. nullopt: no such zone.
    static std::optional<Zone> Find(std::string_view name);
    /// The contents of a time zone file (TZif, version 1 to 4, at most 1 MiB).
    static std::optional<Zone> FromFile(std::string_view bytes);

    /// Seconds east of UTC at an instant.
    int OffsetAt(int64_t utc_seconds) const;
    CivilTime ToLocal(Time utc) const;
    /// A skipped local time moves forward by the gap, a doubled one is the first of the two.
    /// nullopt: the fields name no day or time.
    std::optional<Time> ToUtc(const CivilTime& local) const;

private:
    struct Transition {
        int64_t at;
        int offset;
    };
    int first_offset_ = 0;
    std::vector<Transition> transitions_;  // ascending
    std::optional<ZoneRule> rule_;         // after the last transition
};

}  // namespace opensend::base
