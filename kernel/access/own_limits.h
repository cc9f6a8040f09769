#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/model/rate_limiter.h"

namespace opensend::access {

/// Numbers that the operator gave one bucket of an organization or key (RATE-11).
struct OwnLimit {
    std::string rate;  // as it was written: "200/s"
    uint64_t emission_us = 0;
    uint64_t burst = 0;
    friend bool operator==(const OwnLimit&, const OwnLimit&) = default;
};
using OwnLimits = std::map<std::string, OwnLimit, std::less<>>;

/// What the columns `rate_limits` hold. Text of another shape is a broken invariant.
OwnLimits ReadOwnLimits(std::string_view json);
std::string WriteOwnLimits(const OwnLimits& limits);

/// What holds for a key: its own numbers, and its organization's where it has none. Null when
/// neither has any.
std::shared_ptr<const model::OwnRates> RatesOf(
    std::string_view org_json, std::string_view key_json
);

}  // namespace opensend::access
