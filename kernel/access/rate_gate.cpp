#include "kernel/access/rate_gate.h"

#include <algorithm>

#include "kernel/base/check.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/json/writer.h"
#include "kernel/runtime/metrics.h"

namespace opensend::access {
namespace {

uint64_t CeilSeconds(uint64_t us) { return (us + 999'999) / 1'000'000; }

/// v4 /32, v6 /64 (RATE-10).
std::string Prefix(const base::IpAddress& address) {
    if (!address.is_v6) return address.ToString();
    base::IpAddress network = address;
    std::fill(network.bytes.begin() + 8, network.bytes.end(), uint8_t{0});
    return network.ToString();
}

std::string AddressKey(const base::IpAddress& client, std::string_view bucket) {
    return base::Cat("os:rl:{a:", Prefix(client), "}:", bucket);
}

}  // namespace

void RateHeaders::WriteTo(http::Headers& headers) const {
    if (!backend.empty()) headers.Set("X-RateLimit-Backend", backend);
    if (!present) return;
    headers.Set("ratelimit-limit", base::Cat(limit));
    headers.Set("ratelimit-remaining", base::Cat(remaining));
    headers.Set("ratelimit-reset", base::Cat(reset_s));
}

RateGate::RateGate(
    model::RateLimiter* backend,
    model::RateLimiter* local,
    std::map<std::string, BucketNumbers, std::less<>> numbers,
    OnFailure on_failure
)
    : backend_(backend),
      local_(local),
      numbers_(std::make_shared<const Numbers>(std::move(numbers))),
      on_failure_(on_failure) {}

void RateGate::SetNumbers(std::map<std::string, BucketNumbers, std::less<>> numbers) {
    auto next = std::make_shared<const Numbers>(std::move(numbers));
    numbers_.With([&](auto& current) { current = std::move(next); });
}

RateGate::Named RateGate::Make(std::string_view bucket, std::string key, uint32_t cost) const {
    const auto numbers = numbers_.With([](const auto& current) { return current; });
    const auto found = numbers->find(bucket);
    OPENSEND_CHECK(found != numbers->end(), "every bucket has numbers");
    Named named{bucket, {}};
    named.entry.key = std::move(key);
    named.entry.emission_us = found->second.emission_us;
    named.entry.burst_us = found->second.emission_us * found->second.burst;
    named.entry.cost = cost;
    return named;
}

model::RateVerdict RateGate::Ask(
    model::RateLimiter& limiter, std::span<const Named> buckets, RateHeaders& headers
) {
    std::vector<model::RateBucket> entries;
    entries.reserve(buckets.size());
    for (const Named& named : buckets) entries.push_back(named.entry);
    model::RateVerdict verdict = limiter.Acquire(entries);
    headers.backend = verdict.degraded ? "local" : limiter.name();
    if (!verdict.store_failed) return verdict;
    if (on_failure_ == OnFailure::kClosed) throw base::Unavailable("rate_limit_unavailable");
    if (on_failure_ == OnFailure::kLocal && local_ != nullptr && local_ != &limiter) {
        verdict = local_->Acquire(entries);
        headers.backend = "local";
        if (!verdict.store_failed) return verdict;
    }
    headers.backend = "disabled";
    return model::RateVerdict{};
}

void RateGate::Charge(
    model::RateLimiter* limiter, std::span<const Named> buckets, RateHeaders& headers
) {
    if (limiter == nullptr) {
        headers.backend = "disabled";
        return;
    }
    const model::RateVerdict verdict = Ask(*limiter, buckets, headers);
    size_t deciding = 0;
    for (size_t i = 1; i < verdict.buckets.size(); ++i) {
        const auto& best = verdict.buckets[deciding];
        const auto& candidate = verdict.buckets[i];
        const uint64_t best_limit =
            buckets[deciding].entry.burst_us / buckets[deciding].entry.emission_us;
        const uint64_t limit = buckets[i].entry.burst_us / buckets[i].entry.emission_us;
        const bool tighter = verdict.allowed
                                 ? candidate.remaining * best_limit < best.remaining * limit
                                 : candidate.retry_after_us > best.retry_after_us;
        if (tighter) deciding = i;
    }
    if (verdict.buckets.empty()) return;
    const Named& named = buckets[deciding];
    const model::RateState& state = verdict.buckets[deciding];
    const uint64_t limit = named.entry.burst_us / named.entry.emission_us;
    // Of several charges of one request the tightest is told.
    if (!headers.present || !verdict.allowed ||
        state.remaining * headers.limit < headers.remaining * limit) {
        headers.present = true;
        headers.limit = limit;
        headers.remaining = state.remaining;
        headers.reset_s = CeilSeconds(state.reset_us);
    }
    runtime::Count(
        "opensend_rate_limit_total", {named.bucket, verdict.allowed ? "allowed" : "denied"}
    );
    if (verdict.allowed) return;
    const uint64_t wait = std::max<uint64_t>(1, CeilSeconds(state.retry_after_us));
    json::Writer details;
    details.BeginObject().Field("bucket", named.bucket);
    details.Field("retry_after", static_cast<int64_t>(wait)).EndObject();
    throw base::Error(
        base::ErrorCode::kRateLimitExceeded,
        base::Cat("Too many requests; retry in ", wait, " seconds.")
    )
        .WithExtra(details.Take())
        .WithRetryAfter(static_cast<int>(wait));
}

void RateGate::ChargeAnonymous(const base::IpAddress& client, RateHeaders& headers) {
    const Named buckets[] = {Make("addr.anon", AddressKey(client, "addr.anon"), 1)};
    Charge(backend_, buckets, headers);
}

void RateGate::ChargeRequest(const model::Principal& principal, bool admin, RateHeaders& headers) {
    const std::string tag = base::Cat("os:rl:{", principal.tenant.ToString(), "}:");
    const std::string key = principal.key.ToString();
    std::vector<Named> buckets;
    buckets.push_back(Make("org.api", base::Cat(tag, "org.api"), 1));
    buckets.push_back(Make("key.api", base::Cat(tag, "key.api:", key), 1));
    if (admin) buckets.push_back(Make("key.admin", base::Cat(tag, "key.admin:", key), 1));
    Charge(backend_, buckets, headers);
}

void RateGate::ChargeSend(
    const model::TenantId& tenant, uint32_t recipients, RateHeaders& headers
) {
    const Named buckets[] = {
        Make("org.send", base::Cat("os:rl:{", tenant.ToString(), "}:org.send"), recipients)};
    Charge(backend_, buckets, headers);
}

void RateGate::RefundSend(const model::TenantId& tenant, uint32_t recipients) {
    if (backend_ == nullptr) return;
    const Named named =
        Make("org.send", base::Cat("os:rl:{", tenant.ToString(), "}:org.send"), recipients);
    const model::RateBucket entries[] = {named.entry};
    backend_->Refund(entries);
}

void RateGate::ChargeAuthFailure(const base::IpAddress& client, RateHeaders& headers) {
    model::RateLimiter* limiter = backend_ != nullptr ? backend_ : local_;
    const Named buckets[] = {Make("addr.authfail", AddressKey(client, "addr.authfail"), 1)};
    Charge(limiter, buckets, headers);
}

}  // namespace opensend::access
