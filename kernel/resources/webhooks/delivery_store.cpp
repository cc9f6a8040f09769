#include "kernel/json/value.h"
#include "kernel/resources/webhooks/webhook_store.h"

namespace opensend::webhooks {
namespace {

constexpr db::Query kSubscribers{"webhooks.subscribers", R"sql(
    SELECT id, event_types FROM webhooks WHERE org_id = $1 AND status = 'enabled' ORDER BY id)sql"};
constexpr db::Query kInsertDelivery{"webhooks.insert_delivery", R"sql(
    INSERT INTO webhook_deliveries (id, org_id, webhook_id, event_id, status, attempts, due_at,
                                    lease_owner, lease_fence, lease_until, created_at)
    VALUES ($1, $2, $3, $4, 'pending', 0, $5, '', 0, 0, $5))sql"};
constexpr db::Query kDeliveryFence{"webhooks.next_fence", R"sql(
    UPDATE counters SET value = value + 1 WHERE name = 'lease_fence' RETURNING value)sql"};
constexpr db::Query kClaimDeliveries{"webhooks.claim", R"sql(
    UPDATE webhook_deliveries SET lease_owner = $1, lease_fence = $2, lease_until = $3
     WHERE id IN (SELECT id FROM webhook_deliveries
                   WHERE status = 'pending' AND lease_until = 0 AND due_at <= $4
                   ORDER BY due_at LIMIT $5 {skip_locked})
 RETURNING id, org_id, webhook_id, event_id, attempts, created_at, lease_fence)sql"};
constexpr db::Query kReleaseExpired{"webhooks.release_expired", R"sql(
    UPDATE webhook_deliveries SET lease_until = 0, lease_owner = ''
     WHERE lease_until > 0 AND (lease_until <= $1 OR (lease_owner <> $2 AND $2 <> '')))sql"};
constexpr db::Query kUnclaim{"webhooks.unclaim", R"sql(
    UPDATE webhook_deliveries SET lease_until = 0, lease_owner = '', due_at = $1
     WHERE org_id = $2 AND id = $3 AND lease_fence = $4 AND lease_until > 0)sql"};
constexpr db::Query kAdvance{"webhooks.advance", R"sql(
    UPDATE webhook_deliveries
       SET status = $1, attempts = $2, due_at = $3, lease_until = 0, lease_owner = ''
     WHERE org_id = $4 AND id = $5 AND lease_fence = $6 AND status = 'pending')sql"};
constexpr db::Query kInsertAttempt{"webhooks.insert_attempt", R"sql(
    INSERT INTO webhook_attempts (id, org_id, delivery_id, webhook_id, event_id, number, started_at,
                                  duration_ms, http_status, error, remote_address, response)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12))sql"};
constexpr db::Query kFindEventBody{"webhooks.find_event", R"sql(
    SELECT type, data, created_at, sequence FROM events WHERE org_id = $1 AND id = $2)sql"};

bool Wants(const std::string& event_types, std::string_view type) {
    const auto document = json::Document::Parse(event_types);
    if (!document.ok()) return false;
    const json::Value list = document->root();
    for (size_t i = 0; i < list.size(); ++i) {
        const std::string_view name = list.At(i).AsString();
        if (name == "*" || name == type) return true;
    }
    return false;
}

}  // namespace

int64_t DeliveryStore::FanOut(
    db::Session& tx,
    const model::TenantId& tenant,
    const model::EventId& event,
    std::string_view type,
    base::UuidSource& ids,
    base::Time now
) {
    std::vector<db::Params> each;
    for (const db::Row& row : tx.Execute(kSubscribers, {tenant})) {
        if (!Wants(row.Text(1), type)) continue;
        each.push_back({model::DeliveryId(ids.Next()), tenant, row.Text(0), event, now});
    }
    if (!each.empty()) tx.ChangeEach(kInsertDelivery, each);
    return static_cast<int64_t>(each.size());
}

std::vector<ClaimedDelivery> DeliveryStore::Claim(
    db::Session& tx, const std::string& owner, base::Time now, base::Time until, int limit
) {
    const auto fence = tx.First(kDeliveryFence, {});
    std::vector<ClaimedDelivery> out;
    for (const db::Row& row :
         tx.Execute(kClaimDeliveries, {owner, fence->Int(0), until, now, limit})) {
        out.push_back(
            {row.Id<model::DeliveryId>(0), row.Id<model::TenantId>(1), row.Id<model::WebhookId>(2),
             row.Id<model::EventId>(3), row.Int(4), row.Time(5), row.Int(6)}
        );
    }
    return out;
}

int64_t DeliveryStore::ReleaseExpired(
    db::Session& tx, base::Time now, const std::string& other_than
) {
    return tx.Change(kReleaseExpired, {now, other_than});
}

void DeliveryStore::Unclaim(db::Session& tx, const ClaimedDelivery& delivery, base::Time due_at) {
    tx.Change(kUnclaim, {due_at, delivery.tenant, delivery.id, delivery.fence});
}

void DeliveryStore::Record(db::Session& tx, const AttemptRecord& record, base::UuidSource& ids) {
    const ClaimedDelivery& delivery = record.delivery;
    const int64_t number = delivery.attempts + 1;
    tx.Change(
        kAdvance,
        {record.next_status, number, record.due_at, delivery.tenant, delivery.id, delivery.fence}
    );
    tx.Change(
        kInsertAttempt,
        {model::AttemptId(ids.Next()), delivery.tenant, delivery.id, delivery.webhook,
         delivery.event, number, record.started_at, record.duration_ms, record.http_status,
         record.error, record.remote_address, record.response}
    );
}

std::optional<DeliveryStore::EventBody> DeliveryStore::FindEvent(
    db::Session& session, const model::TenantId& tenant, const model::EventId& event
) {
    const auto row = session.First(kFindEventBody, {tenant, event});
    if (!row) return std::nullopt;
    return EventBody{row->Text(0), row->Text(1), row->Time(2), row->OptionalInt(3).value_or(0)};
}

}  // namespace opensend::webhooks
