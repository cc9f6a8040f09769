#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/clock.h"

namespace opensend::base {

/// A date and time of day without zone, proleptic Gregorian.
struct CivilTime {
    int year = 1970, month = 1, day = 1;
    int hour = 0, minute = 0, second = 0, micros = 0;
};

/// "2026-03-02T09:15:30.123Z": UTC, three decimals (REST contract 1.9).
std::string FormatIso(Time time);
/// RFC 5322 date-time in +0000: "Mon, 02 Mar 2026 09:15:30 +0000".
std::string FormatRfc5322(Time time);
/// ISO 8601 date or date-time; no zone means UTC. nullopt: not one, or no such day.
std::optional<Time> ParseIso(std::string_view text);

CivilTime ToCivil(Time utc);
/// nullopt when the fields name no instant (month 13, 30 February, hour 24).
std::optional<Time> FromCivil(const CivilTime& civil);
/// 0 = Sunday … 6 = Saturday.
int Weekday(Time utc);

}  // namespace opensend::base
