#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/clock.h"
#include "kernel/runtime/settings.h"

namespace opensend::runtime {

/// Spellings of CFG-03; nullopt: something else, or out of range.
std::optional<bool> ParseBool(std::string_view text);
std::optional<base::Duration> ParseSpan(std::string_view text);
std::optional<int64_t> ParseSize(std::string_view text);

struct RateText {
    uint64_t count = 0;
    uint64_t period_us = 0;
};
/// "50/s", "10/min", "5/h", "1/d".
std::optional<RateText> ParseRate(std::string_view text);

/// "name:weight:priority"; the last two may be missing (100, 1).
struct MemberText {
    std::string transport;
    int weight = 100, priority = 1;
};
std::optional<MemberText> ParseMember(std::string_view text);

/// Lower-case letters, digits, '_' and '-', at most 64.
bool IsConfigName(std::string_view text);

struct ValueProblem {
    std::string code, text;
};
/// Checks one non-empty value against type and rule of its row.
std::optional<ValueProblem> CheckValue(const Setting& setting, std::string_view value);

}  // namespace opensend::runtime
