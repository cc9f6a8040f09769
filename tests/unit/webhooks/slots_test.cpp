#include "kernel/workers/webhooks/slots.h"

#include <gtest/gtest.h>

namespace opensend::webhook_delivery {
namespace {

model::TenantId Tenant(uint8_t number) {
    base::Uuid id;
    id.bytes[15] = number;
    return model::TenantId(id);
}

webhooks::EndpointTurn Turn(const model::TenantId& tenant, int64_t failures, bool proven) {
    webhooks::EndpointTurn turn;
    turn.tenant = tenant;
    turn.health.failures = failures;
    turn.health.proven = proven;
    return turn;
}

webhooks::ClaimedDelivery Claimed(const model::TenantId& tenant, bool failing) {
    webhooks::ClaimedDelivery delivery;
    delivery.tenant = tenant;
    delivery.failing = failing;
    return delivery;
}

TEST(Slots, OnlyAnEndpointThatWorksHasSeveral) {
    const Slots slots({});
    EXPECT_EQ(slots.EndpointLimit(Turn(Tenant(1), 0, true)), 4U);
    EXPECT_EQ(slots.EndpointLimit(Turn(Tenant(1), 0, false)), 1U);
    EXPECT_EQ(slots.EndpointLimit(Turn(Tenant(1), 1, true)), 1U);
}

TEST(Slots, FailingEndpointsLeaveHalfOfATenantsToTheOthers) {
    Slots slots({.per_endpoint = 4, .per_tenant = 8, .total = 100});
    for (int i = 0; i < 4; ++i) slots.Begin(Claimed(Tenant(1), true));
    EXPECT_EQ(slots.Room(Turn(Tenant(1), 1, true)), 0U);
    EXPECT_EQ(slots.Room(Turn(Tenant(1), 0, true)), 4U);
    EXPECT_EQ(slots.Closed().tired_tenants, Tenant(1).ToString());
    EXPECT_EQ(slots.Closed().full_tenants, "");
    EXPECT_EQ(slots.EndpointLimit(Turn(Tenant(1), 0, true)), 1U);
    EXPECT_EQ(slots.EndpointLimit(Turn(Tenant(2), 0, true)), 4U);
    slots.End(Claimed(Tenant(1), true));
    EXPECT_EQ(slots.Room(Turn(Tenant(1), 1, true)), 1U);
}

TEST(Slots, FailingEndpointsOfAllTenantsLeaveHalfOfTheProcess) {
    Slots slots({.per_endpoint = 4, .per_tenant = 32, .total = 10});
    for (uint8_t i = 1; i <= 5; ++i) slots.Begin(Claimed(Tenant(i), true));
    EXPECT_FALSE(slots.Closed().failing_allowed);
    EXPECT_EQ(slots.Room(Turn(Tenant(9), 3, false)), 0U);
    EXPECT_EQ(slots.Room(Turn(Tenant(9), 0, false)), 5U);
}

TEST(Slots, AFullTenantAndAFullProcessTakeNothing) {
    Slots slots({.per_endpoint = 4, .per_tenant = 2, .total = 3});
    slots.Begin(Claimed(Tenant(1), false));
    slots.Begin(Claimed(Tenant(1), false));
    EXPECT_EQ(slots.Closed().full_tenants, Tenant(1).ToString());
    EXPECT_EQ(slots.Room(Turn(Tenant(1), 0, true)), 0U);
    slots.Begin(Claimed(Tenant(2), false));
    EXPECT_TRUE(slots.full());
    slots.End(Claimed(Tenant(1), false));
    EXPECT_FALSE(slots.full());
    EXPECT_EQ(slots.total(), 2U);
}

}  // namespace
}  // namespace opensend::webhook_delivery
