#pragma once

#include <optional>
#include <string_view>

#include "kernel/base/clock.h"

namespace opensend::base {

/// Resolves a `scheduled_at` expression (REST 3.2.1) at `now` in the default zone (IANA name).
/// nullopt: outside the grammar. The caller checks now < t ≤ now + 30 days.
std::optional<Time> ParseSchedule(std::string_view text, Time now, std::string_view zone);
/// Durations of REST 3.2.3 ("10m", "1 day 6 hours").
std::optional<Duration> ParseSpan(std::string_view text);

}  // namespace opensend::base
