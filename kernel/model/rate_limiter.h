#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace opensend::model {

/// One bucket of one request (platform.md 12.2): T and B in microseconds.
struct RateBucket {
    std::string key;
    uint64_t emission_us = 0;
    uint64_t burst_us = 0;
    uint32_t cost = 1;
    uint32_t processes = 1;  // live ones that use the bucket
};

/// A bucket for which an organization or a key has numbers of its own.
struct OwnRate {
    std::string bucket;  // "org.send"
    uint64_t emission_us = 0;
    uint64_t burst = 0;
};
using OwnRates = std::vector<OwnRate>;

struct RateState {
    uint64_t remaining = 0;
    uint64_t retry_after_us = 0;  // 0: this bucket allows
    uint64_t reset_us = 0;
};

struct RateVerdict {
    bool allowed = true;
    bool degraded = false;  // answered from the local share
    bool store_failed = false;
    std::vector<RateState> buckets;
};

/// The configured rate-limit backend. Thread-safe.
class RateLimiter {
public:
    virtual ~RateLimiter() = default;
    /// Charges all buckets or none. With `peek` nothing is stored.
    virtual RateVerdict Acquire(std::span<const RateBucket> buckets, bool peek = false) = 0;
    /// Gives send units back.
    virtual void Refund(std::span<const RateBucket> buckets) = 0;
    /// "memory", "redis", … for X-RateLimit-Backend.
    virtual const std::string& name() const = 0;
};

}  // namespace opensend::model
