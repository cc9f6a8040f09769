#pragma once

#include <cstddef>
#include <map>

#include "kernel/resources/webhooks/delivery_store.h"

namespace opensend::webhook_delivery {

/// How many attempts may be under way at once, and who has them (HOOK-30). An endpoint that failed
/// last, or that never took anything, has one; failing ones together have at most half of what the
/// process and their tenant have. So endpoints that never answer leave room for the others.
class Slots {
public:
    struct Limits {
        size_t per_endpoint = 4, per_tenant = 32, total = 256;
    };
    explicit Slots(Limits limits) : limits_(limits) {}

    bool full() const { return total_ >= limits_.total; }
    size_t total() const { return total_; }
    /// Who may not get a turn now.
    webhooks::TurnLimits Closed() const;
    /// How many the endpoint may have in all, and how many more may begin.
    size_t EndpointLimit(const webhooks::EndpointTurn& turn) const;
    size_t Room(const webhooks::EndpointTurn& turn) const;
    void Begin(const webhooks::ClaimedDelivery& delivery);
    void End(const webhooks::ClaimedDelivery& delivery);

private:
    struct Use {
        size_t all = 0, failing = 0;
    };
    Use Of(const model::TenantId& tenant) const;

    Limits limits_;
    size_t total_ = 0, failing_ = 0;
    std::map<model::TenantId, Use> tenants_;
};

}  // namespace opensend::webhook_delivery
