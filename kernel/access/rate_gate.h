#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/cidr.h"
#include "kernel/base/guarded.h"
#include "kernel/http/message.h"
#include "kernel/model/ids.h"
#include "kernel/model/principal.h"
#include "kernel/model/rate_limiter.h"

namespace opensend::access {

/// Numbers of one bucket: GCRA emission interval and burst (platform.md 12.2, 12.3).
struct BucketNumbers {
    uint64_t emission_us = 10'000;
    uint64_t burst = 200;
};

/// What the limiter says on an answer (RATE-20).
struct RateHeaders {
    bool present = false;
    uint64_t limit = 0, remaining = 0, reset_s = 0;
    std::string backend;
    void WriteTo(http::Headers& headers) const;
};

/// The limiter as a stage in front of the handlers: which buckets a request pays, what it is told.
/// `backend` is null when limits are disabled; `local` serves the protection buckets then, and
/// always after the backend's store failed under policy "local". Thread-safe.
class RateGate {
public:
    enum class OnFailure { kLocal = 1, kOpen, kClosed };
    RateGate(
        model::RateLimiter* backend,
        model::RateLimiter* local,
        std::map<std::string, BucketNumbers, std::less<>> numbers,
        OnFailure on_failure
    );

    /// Other numbers from now on; every bucket is there. Any thread.
    void SetNumbers(std::map<std::string, BucketNumbers, std::less<>> numbers);

    /// addr.anon of a public route. Each throws 429 rate_limit_exceeded and fills `headers`.
    void ChargeAnonymous(const base::IpAddress& client, RateHeaders& headers);
    /// org.api, key.api, and key.admin when `admin`.
    void ChargeRequest(const model::Principal& principal, bool admin, RateHeaders& headers);
    /// org.send: one unit per recipient.
    void ChargeSend(const model::TenantId& tenant, uint32_t recipients, RateHeaders& headers);
    void RefundSend(const model::TenantId& tenant, uint32_t recipients);
    /// One addr.authfail unit for a failed credential; throws 429 when the bucket is empty.
    void ChargeAuthFailure(const base::IpAddress& client, RateHeaders& headers);

private:
    struct Named {
        std::string_view bucket;
        model::RateBucket entry;
    };
    Named Make(std::string_view bucket, std::string key, uint32_t cost) const;
    void Charge(model::RateLimiter* limiter, std::span<const Named> buckets, RateHeaders& headers);
    model::RateVerdict Ask(
        model::RateLimiter& limiter, std::span<const Named> buckets, RateHeaders& headers
    );

    model::RateLimiter* backend_;
    model::RateLimiter* local_;
    using Numbers = std::map<std::string, BucketNumbers, std::less<>>;
    base::Guarded<std::shared_ptr<const Numbers>> numbers_;
    OnFailure on_failure_;
};

}  // namespace opensend::access
