#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kernel/access/rate_outage.h"
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
/// `backend` is null when limits are disabled. `local` serves what protects credentials then, and
/// shares of all buckets while the backend's store is away under policy kLocal. Thread-safe.
class RateGate {
public:
    enum class OnFailure { kLocal = 1, kOpen, kClosed };
    using Numbers = std::map<std::string, BucketNumbers, std::less<>>;
    RateGate(
        model::RateLimiter* backend,
        model::RateLimiter* local,
        Numbers numbers,
        OnFailure on_failure
    );

    /// Other numbers from now on; every bucket is there. Any thread.
    void SetNumbers(Numbers numbers);
    /// How many live processes share the buckets, at least 1. Any thread.
    void SetProcesses(uint32_t live) { processes_ = live > 0 ? live : 1; }
    uint32_t processes() const { return processes_.load(); }

    /// What a request pays beyond itself.
    struct Extra {
        bool admin = false;    // key.admin
        bool exports = false;  // org.export
    };
    /// What a send has paid; gives it back.
    struct SendUnits {
        model::RateLimiter* limiter = nullptr;  // null: nothing was taken
        model::RateBucket bucket;
    };
    /// addr.anon of a public route. Each throws 429 rate_limit_exceeded, or 503
    /// rate_limit_unavailable, and fills `headers`.
    void ChargeAnonymous(const base::IpAddress& client, RateHeaders& headers);
    /// org.api, key.api and what `extra` names.
    void ChargeRequest(const model::Principal& principal, Extra extra, RateHeaders& headers);
    /// org.send: one unit per recipient.
    SendUnits ChargeSend(
        const model::Principal& principal, uint32_t recipients, RateHeaders& headers
    );
    static void RefundSend(const SendUnits& units);
    /// One addr.authfail unit for a failed credential; throws 429 when the bucket is empty. It is
    /// charged even when limits are disabled or the store is away.
    void ChargeAuthFailure(const base::IpAddress& client, RateHeaders& headers);

    /// Asks a store that failed before whether it is back, and says what it found; waits for it, so
    /// not for requests.
    bool Probe();
    RateOutage& outage() { return outage_; }

private:
    /// The buckets of one charge; all or none are paid.
    struct Charge {
        std::array<model::RateBucket, 4> entries;
        std::array<std::string_view, 4> names;
        size_t count = 0;
        const model::TenantId* tenant = nullptr;  // who pays, when it is known
        bool protects = false;                    // stays without the backend
        void Add(
            std::string_view name,
            std::string key,
            const Numbers& numbers,
            const model::OwnRates* own,
            uint32_t cost
        );
        std::span<const model::RateBucket> buckets() const { return {entries.data(), count}; }
    };
    std::shared_ptr<const Numbers> CurrentNumbers() const;
    /// Null: allowed without having been charged anywhere.
    model::RateLimiter* Ask(Charge& charge, model::RateVerdict& verdict, RateHeaders& headers);
    model::RateLimiter* AskLocal(Charge& charge, model::RateVerdict& verdict, RateHeaders& headers);
    /// Who was charged; null: nobody.
    model::RateLimiter* Pay(Charge& charge, RateHeaders& headers);

    model::RateLimiter* backend_;
    model::RateLimiter* local_;
    base::Guarded<std::shared_ptr<const Numbers>> numbers_;
    const OnFailure on_failure_;
    std::atomic<uint32_t> processes_{1};
    RateOutage outage_;
};

}  // namespace opensend::access
