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

uint64_t BurstOf(const model::RateBucket& bucket) { return bucket.burst_us / bucket.emission_us; }

/// What one of several processes may admit of a bucket that they cannot share.
void CutToShare(model::RateBucket& bucket) {
    const uint64_t units = std::max<uint64_t>(1, BurstOf(bucket) / bucket.processes);
    bucket.emission_us *= bucket.processes;
    bucket.burst_us = units * bucket.emission_us;
}

base::Error TooMany(std::string_view bucket, uint64_t wait_s) {
    json::Writer details;
    details.BeginObject().Field("bucket", bucket);
    details.Field("retry_after", static_cast<int64_t>(wait_s)).EndObject();
    return base::Error(
               base::ErrorCode::kRateLimitExceeded,
               base::Cat("Too many requests; retry in ", wait_s, " seconds.")
    )
        .WithExtra(details.Take())
        .WithRetryAfter(static_cast<int>(wait_s));
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
    model::RateLimiter* backend, model::RateLimiter* local, Numbers numbers, OnFailure on_failure
)
    : backend_(backend),
      local_(local),
      numbers_(std::make_shared<const Numbers>(std::move(numbers))),
      on_failure_(on_failure) {
    runtime::SetGauge("opensend_rate_limit_store_up", {}, 1);
}

void RateGate::SetNumbers(Numbers numbers) {
    auto next = std::make_shared<const Numbers>(std::move(numbers));
    numbers_.With([&](auto& current) { current = std::move(next); });
}

std::shared_ptr<const RateGate::Numbers> RateGate::CurrentNumbers() const {
    return numbers_.With([](const auto& current) { return current; });
}

void RateGate::Charge::Add(
    std::string_view name,
    std::string key,
    const Numbers& numbers,
    const model::OwnRates* own,
    uint32_t cost
) {
    OPENSEND_CHECK(count < entries.size(), "a charge has a place for each of its buckets");
    const auto found = numbers.find(name);
    OPENSEND_CHECK(found != numbers.end(), "every bucket has numbers");
    uint64_t emission = found->second.emission_us;
    uint64_t burst = found->second.burst;
    if (own != nullptr) {
        const auto other = std::find_if(own->begin(), own->end(), [&](const model::OwnRate& rate) {
            return rate.bucket == name;
        });
        if (other != own->end()) emission = other->emission_us;
        if (other != own->end()) burst = other->burst;
    }
    model::RateBucket& entry = entries[count];
    entry.key = std::move(key);
    entry.emission_us = emission;
    entry.burst_us = emission * burst;
    entry.cost = cost;
    names[count++] = name;
}

model::RateLimiter* RateGate::AskLocal(
    Charge& charge, model::RateVerdict& verdict, RateHeaders& headers
) {
    headers.backend = "disabled";
    const bool is_wanted = on_failure_ == OnFailure::kLocal || charge.protects;
    if (!is_wanted || local_ == nullptr || local_ == backend_) return nullptr;
    for (size_t i = 0; i < charge.count; ++i) CutToShare(charge.entries[i]);
    verdict = local_->Acquire(charge.buckets());
    if (verdict.store_failed) return nullptr;
    headers.backend = "local";
    return local_;
}

model::RateLimiter* RateGate::Ask(
    Charge& charge, model::RateVerdict& verdict, RateHeaders& headers
) {
    if (backend_ == nullptr) {
        headers.backend = "disabled";
        if (!charge.protects || local_ == nullptr) return nullptr;
        verdict = local_->Acquire(charge.buckets());
        if (verdict.store_failed) return nullptr;
        headers.backend = local_->name();
        return local_;
    }
    const uint32_t processes = processes_.load(std::memory_order_relaxed);
    for (size_t i = 0; i < charge.count; ++i) charge.entries[i].processes = processes;
    if (outage_.state() != RateOutage::State::kAway) {
        verdict = backend_->Acquire(charge.buckets());
        headers.backend = backend_->name();
        if (!verdict.store_failed && !verdict.degraded) return backend_;
        if (!verdict.store_failed && on_failure_ == OnFailure::kLocal) {
            outage_.Note(RateOutage::State::kDegraded, charge.tenant);
            headers.backend = "local";
            return backend_;
        }
    }
    outage_.Note(RateOutage::State::kAway, charge.tenant);
    runtime::SetGauge("opensend_rate_limit_store_up", {}, 0);
    if (on_failure_ == OnFailure::kClosed && !charge.protects) {
        throw base::Unavailable("rate_limit_unavailable", "the rate limiter's store is away");
    }
    return AskLocal(charge, verdict, headers);
}

model::RateLimiter* RateGate::Pay(Charge& charge, RateHeaders& headers) {
    model::RateVerdict verdict;
    model::RateLimiter* const payee = Ask(charge, verdict, headers);
    if (payee == nullptr || verdict.buckets.size() != charge.count) return nullptr;
    size_t deciding = 0;
    for (size_t i = 1; i < charge.count; ++i) {
        const model::RateState& best = verdict.buckets[deciding];
        const model::RateState& candidate = verdict.buckets[i];
        const bool is_tighter = verdict.allowed
                                    ? candidate.remaining * BurstOf(charge.entries[deciding]) <
                                          best.remaining * BurstOf(charge.entries[i])
                                    : candidate.retry_after_us > best.retry_after_us;
        if (is_tighter) deciding = i;
    }
    const model::RateState& state = verdict.buckets[deciding];
    const uint64_t limit = BurstOf(charge.entries[deciding]);
    // Of several charges of one request the tightest is told.
    if (!headers.present || !verdict.allowed ||
        state.remaining * headers.limit < headers.remaining * limit) {
        headers.present = true;
        headers.limit = limit;
        headers.remaining = state.remaining;
        headers.reset_s = CeilSeconds(state.reset_us);
    }
    const std::string_view name = charge.names[deciding];
    runtime::Count("opensend_rate_limit_total", {name, verdict.allowed ? "allowed" : "denied"});
    if (!verdict.allowed) {
        throw TooMany(name, std::max<uint64_t>(1, CeilSeconds(state.retry_after_us)));
    }
    return payee;
}

void RateGate::ChargeAnonymous(const base::IpAddress& client, RateHeaders& headers) {
    Charge charge;
    charge.Add("addr.anon", AddressKey(client, "addr.anon"), *CurrentNumbers(), nullptr, 1);
    Pay(charge, headers);
}

void RateGate::ChargeRequest(const model::Principal& principal, Extra extra, RateHeaders& headers) {
    const std::string tag = base::Cat("os:rl:{", principal.tenant.ToString(), "}:");
    const std::string key = principal.key.ToString();
    const auto numbers = CurrentNumbers();
    const model::OwnRates* const own = principal.rates.get();
    Charge charge;
    charge.tenant = &principal.tenant;
    charge.Add("org.api", base::Cat(tag, "org.api"), *numbers, own, 1);
    charge.Add("key.api", base::Cat(tag, "key.api:", key), *numbers, own, 1);
    if (extra.admin) charge.Add("key.admin", base::Cat(tag, "key.admin:", key), *numbers, own, 1);
    if (extra.exports) charge.Add("org.export", base::Cat(tag, "org.export"), *numbers, own, 1);
    Pay(charge, headers);
}

RateGate::SendUnits RateGate::ChargeSend(
    const model::Principal& principal, uint32_t recipients, RateHeaders& headers
) {
    Charge charge;
    charge.tenant = &principal.tenant;
    charge.Add(
        "org.send", base::Cat("os:rl:{", principal.tenant.ToString(), "}:org.send"),
        *CurrentNumbers(), principal.rates.get(), recipients
    );
    model::RateLimiter* const payee = Pay(charge, headers);
    return {payee, std::move(charge.entries[0])};
}

void RateGate::RefundSend(const SendUnits& units) {
    if (units.limiter != nullptr) units.limiter->Refund({&units.bucket, 1});
}

void RateGate::ChargeAuthFailure(const base::IpAddress& client, RateHeaders& headers) {
    Charge charge;
    charge.protects = true;
    charge.Add("addr.authfail", AddressKey(client, "addr.authfail"), *CurrentNumbers(), nullptr, 1);
    Pay(charge, headers);
}

bool RateGate::Probe() {
    using State = RateOutage::State;
    if (backend_ == nullptr || outage_.state() == State::kWell) return true;
    // Looks only: nobody's bucket and nothing charged.
    const model::RateBucket bucket{"os:rl:{probe}:probe", 1'000'000, 1'000'000, 1, processes()};
    const model::RateVerdict verdict = backend_->Acquire({&bucket, 1}, true);
    const bool is_away =
        verdict.store_failed || (verdict.degraded && on_failure_ != OnFailure::kLocal);
    outage_.Probed(is_away ? State::kAway : verdict.degraded ? State::kDegraded : State::kWell);
    if (outage_.state() == State::kWell) runtime::SetGauge("opensend_rate_limit_store_up", {}, 1);
    return !is_away;
}

}  // namespace opensend::access
