#include "kernel/workers/webhooks/slots.h"

#include <algorithm>

namespace opensend::webhook_delivery {
namespace {

/// At least one, so that nobody is shut out for good.
size_t HalfOf(size_t limit) { return std::max<size_t>(1, limit / 2); }

size_t LeftOf(size_t limit, size_t used) { return limit > used ? limit - used : 0; }

}  // namespace

Slots::Use Slots::Of(const model::TenantId& tenant) const {
    const auto found = tenants_.find(tenant);
    return found == tenants_.end() ? Use{} : found->second;
}

webhooks::TurnLimits Slots::Closed() const {
    webhooks::TurnLimits out;
    for (const auto& [tenant, use] : tenants_) {
        if (use.all >= limits_.per_tenant) out.full_tenants += tenant.ToString();
        if (use.failing >= HalfOf(limits_.per_tenant)) out.tired_tenants += tenant.ToString();
    }
    out.failing_allowed = failing_ < HalfOf(limits_.total);
    return out;
}

size_t Slots::EndpointLimit(const webhooks::EndpointTurn& turn) const {
    if (!turn.health.proven || turn.health.failures > 0) return 1;
    const bool busy =
        total_ >= HalfOf(limits_.total) || Of(turn.tenant).all >= HalfOf(limits_.per_tenant);
    return busy ? 1 : limits_.per_endpoint;
}

size_t Slots::Room(const webhooks::EndpointTurn& turn) const {
    const Use use = Of(turn.tenant);
    size_t room = std::min(LeftOf(limits_.total, total_), LeftOf(limits_.per_tenant, use.all));
    if (turn.health.failures > 0) {
        room = std::min(room, LeftOf(HalfOf(limits_.total), failing_));
        room = std::min(room, LeftOf(HalfOf(limits_.per_tenant), use.failing));
    }
    return room;
}

void Slots::Begin(const webhooks::ClaimedDelivery& delivery) {
    Use& use = tenants_[delivery.tenant];
    ++total_;
    ++use.all;
    if (!delivery.failing) return;
    ++failing_;
    ++use.failing;
}

void Slots::End(const webhooks::ClaimedDelivery& delivery) {
    const auto found = tenants_.find(delivery.tenant);
    if (found == tenants_.end()) return;
    --total_;
    --found->second.all;
    if (delivery.failing) {
        --failing_;
        --found->second.failing;
    }
    if (found->second.all == 0) tenants_.erase(found);
}

}  // namespace opensend::webhook_delivery
