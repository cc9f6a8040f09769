#include <algorithm>

#include "kernel/resources/webhooks/delivery_store.h"

namespace opensend::webhooks {
namespace {

constexpr db::Query kOpenQueue{"webhook_queues.open", R"sql(
    INSERT INTO webhook_queues (webhook_id, org_id, due_at, failures, proven)
    VALUES ($1, $2, 9223372036854775807, 0, 0))sql"};
constexpr db::Query kCloseQueue{
    "webhook_queues.close", "DELETE FROM webhook_queues WHERE org_id = $1 AND webhook_id = $2"};
constexpr db::Query kResetQueue{"webhook_queues.reset", R"sql(
    UPDATE webhook_queues SET failures = 0, failing_since = NULL, probe_id = NULL, due_at = 0
     WHERE org_id = $1 AND webhook_id = $2)sql"};
constexpr db::Query kLockQueue{"webhook_queues.lock", R"sql(
    SELECT failures, failing_since, proven, probe_id FROM webhook_queues
     WHERE org_id = $1 AND webhook_id = $2 {for_update})sql"};
constexpr db::Query kDueQueues{"webhook_queues.due", R"sql(
    SELECT org_id, webhook_id, failures, failing_since, proven, probe_id FROM webhook_queues
     WHERE due_at <= $1 AND NOT ($2 LIKE '%' || org_id || '%')
       AND (failures = 0 OR ($3 = 1 AND NOT ($4 LIKE '%' || org_id || '%')))
     ORDER BY due_at LIMIT $5 {skip_locked})sql"};
constexpr db::Query kUnderWay{"webhook_queues.under_way", R"sql(
    SELECT COUNT(*) FROM webhook_deliveries
     WHERE org_id = $1 AND webhook_id = $2 AND lease_until > 0)sql"};
constexpr db::Query kTakeDue{"webhook_queues.take", R"sql(
    UPDATE webhook_deliveries SET lease_owner = $1, lease_fence = $2, lease_until = $3
     WHERE org_id = $4 AND id IN (
           SELECT id FROM webhook_deliveries
            WHERE org_id = $4 AND webhook_id = $5 AND status = 'pending' AND lease_until = 0
              AND due_at <= $6
            ORDER BY due_at, id LIMIT $7 {skip_locked})
 RETURNING id, event_id, attempts, created_at)sql"};
constexpr db::Query kTakeProbe{"webhook_queues.take_probe", R"sql(
    UPDATE webhook_deliveries SET lease_owner = $1, lease_fence = $2, lease_until = $3
     WHERE org_id = $4 AND id = $5 AND status = 'pending' AND lease_until = 0 AND due_at <= $6
 RETURNING id, event_id, attempts, created_at)sql"};
constexpr db::Query kSetProbe{"webhook_queues.set_probe", R"sql(
    UPDATE webhook_queues SET probe_id = $1 WHERE org_id = $2 AND webhook_id = $3)sql"};
constexpr db::Query kRequeue{"webhook_queues.requeue", R"sql(
    UPDATE webhook_queues SET due_at = COALESCE(
           CASE WHEN probe_id IS NULL THEN (
                SELECT d.due_at FROM webhook_deliveries d
                 WHERE d.org_id = $1 AND d.webhook_id = $2 AND d.status = 'pending'
                   AND d.lease_until = 0
                 ORDER BY d.due_at LIMIT 1)
           ELSE (SELECT d.due_at FROM webhook_deliveries d
                  WHERE d.org_id = $1 AND d.id = webhook_queues.probe_id AND d.status = 'pending'
                    AND d.lease_until = 0)
           END, 9223372036854775807)
     WHERE org_id = $1 AND webhook_id = $2)sql"};
constexpr db::Query kParkQueue{"webhook_queues.park", R"sql(
    UPDATE webhook_queues SET due_at = 9223372036854775807
     WHERE org_id = $1 AND webhook_id = $2)sql"};
constexpr db::Query kBringQueue{"webhook_queues.bring", R"sql(
    UPDATE webhook_queues SET due_at = $1
     WHERE org_id = $2 AND webhook_id = $3 AND due_at > $1 AND probe_id IS NULL)sql"};
constexpr db::Query kSaveQueue{"webhook_queues.save", R"sql(
    UPDATE webhook_queues SET failures = $1, failing_since = $2, proven = $3, probe_id = $4
     WHERE org_id = $5 AND webhook_id = $6)sql"};

EndpointHealth ReadHealth(const db::Row& row, size_t first) {
    EndpointHealth health;
    health.failures = row.Int(first);
    health.failing_since = row.OptionalTime(first + 1);
    health.proven = row.Bool(first + 2);
    health.probe = row.OptionalId<model::DeliveryId>(first + 3);
    return health;
}

std::vector<db::Params> EachKey(std::span<const EndpointQueue::Key> keys) {
    std::vector<db::Params> each;
    each.reserve(keys.size());
    for (const auto& [tenant, webhook] : keys) each.push_back({tenant, webhook});
    return each;
}

}  // namespace

void EndpointQueue::Open(
    db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id
) {
    tx.Change(kOpenQueue, {id, tenant});
}

void EndpointQueue::Close(
    db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id
) {
    tx.Change(kCloseQueue, {tenant, id});
}

void EndpointQueue::Reset(
    db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id
) {
    tx.Change(kResetQueue, {tenant, id});
}

std::optional<EndpointHealth> EndpointQueue::Lock(
    db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id
) {
    const auto row = tx.First(kLockQueue, {tenant, id});
    return row ? std::optional(ReadHealth(*row, 0)) : std::nullopt;
}

std::vector<EndpointTurn> EndpointQueue::Due(
    db::Session& tx, base::Time now, const TurnLimits& limits, int limit
) {
    std::vector<EndpointTurn> out;
    const db::Params params = {
        now, limits.full_tenants, limits.failing_allowed, limits.tired_tenants, limit};
    for (const db::Row& row : tx.Execute(kDueQueues, params)) {
        out.push_back({row.Id<model::TenantId>(0), row.Id<model::WebhookId>(1), ReadHealth(row, 2)}
        );
    }
    return out;
}

int64_t EndpointQueue::UnderWay(db::Session& tx, const EndpointTurn& turn) {
    return tx.First(kUnderWay, {turn.tenant, turn.webhook})->Int(0);
}

std::vector<ClaimedDelivery> EndpointQueue::Take(
    db::Session& tx, const EndpointTurn& turn, const Claim& claim, int64_t limit
) {
    db::Rows rows;
    const bool open = turn.health.is_open();
    if (open && turn.health.probe) {
        rows = tx.Execute(
            kTakeProbe,
            {claim.owner, claim.fence, claim.until, turn.tenant, *turn.health.probe, claim.now}
        );
    } else {
        rows = tx.Execute(
            kTakeDue, {claim.owner, claim.fence, claim.until, turn.tenant, turn.webhook, claim.now,
                       open ? int64_t{1} : limit}
        );
    }
    std::vector<ClaimedDelivery> out;
    for (const db::Row& row : rows) {
        out.push_back(
            {row.Id<model::DeliveryId>(0), turn.tenant, turn.webhook, row.Id<model::EventId>(1),
             row.Int(2), row.Time(3), claim.fence, turn.health.failures > 0, turn.health.proven}
        );
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    if (open && !turn.health.probe && !out.empty()) {
        tx.Change(kSetProbe, {out.front().id, turn.tenant, turn.webhook});
    }
    return out;
}

void EndpointQueue::Requeue(db::Session& tx, std::span<const Key> keys) {
    if (!keys.empty()) tx.ChangeEach(kRequeue, EachKey(keys));
}

void EndpointQueue::Park(db::Session& tx, std::span<const Key> keys) {
    if (!keys.empty()) tx.ChangeEach(kParkQueue, EachKey(keys));
}

void EndpointQueue::Bring(db::Session& tx, std::span<const Key> keys, base::Time due) {
    std::vector<db::Params> each;
    for (const auto& [tenant, webhook] : keys) each.push_back({due, tenant, webhook});
    if (!each.empty()) tx.ChangeEach(kBringQueue, each);
}

void EndpointQueue::Save(db::Session& tx, const Key& key, const EndpointHealth& health) {
    tx.Change(
        kSaveQueue,
        {health.failures, health.failing_since, health.proven, health.probe, key.first, key.second}
    );
}

}  // namespace opensend::webhooks
