#include "kernel/resources/webhooks/delivery_store.h"

#include <algorithm>
#include <set>

#include "kernel/json/value.h"

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
constexpr db::Query kReleaseExpired{"webhooks.release_expired", R"sql(
    UPDATE webhook_deliveries SET lease_until = 0, lease_owner = ''
     WHERE lease_until > 0 AND (lease_until <= $1 OR (lease_owner <> $2 AND $2 <> ''))
 RETURNING org_id, webhook_id)sql"};
constexpr db::Query kUnclaim{"webhooks.unclaim", R"sql(
    UPDATE webhook_deliveries SET lease_until = 0, lease_owner = '', due_at = $1
     WHERE org_id = $2 AND id = $3 AND lease_fence = $4 AND lease_until > 0)sql"};
constexpr db::Query kStopDelivery{"webhooks.stop_delivery", R"sql(
    UPDATE webhook_deliveries SET lease_until = 0, lease_owner = '', status = 'failed'
     WHERE org_id = $1 AND id = $2 AND lease_fence = $3 AND lease_until > 0)sql"};
// One that was stopped while it was under way stays stopped, unless it arrived.
constexpr db::Query kAdvance{"webhooks.advance", R"sql(
    UPDATE webhook_deliveries
       SET status = CASE WHEN status = 'pending' OR $1 = 'success' THEN $1 ELSE status END,
           attempts = $2, due_at = $3, lease_until = 0, lease_owner = ''
     WHERE org_id = $4 AND id = $5 AND lease_fence = $6 AND lease_until > 0)sql"};
constexpr db::Query kInsertAttempt{"webhooks.insert_attempt", R"sql(
    INSERT INTO webhook_attempts (id, org_id, delivery_id, webhook_id, event_id, number, started_at,
                                  duration_ms, http_status, error, remote_address, response,
                                  tls_version, headers, url_host)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15))sql"};
constexpr db::Query kForgetStuck{"webhooks.forget_stuck", R"sql(
    UPDATE webhook_deliveries SET status = 'failed'
     WHERE status = 'pending' AND lease_until = 0 AND created_at < $1
       AND EXISTS (SELECT 1 FROM webhook_queues q
                    WHERE q.org_id = webhook_deliveries.org_id
                      AND q.webhook_id = webhook_deliveries.webhook_id
                      AND q.probe_id IS NOT NULL AND q.probe_id <> webhook_deliveries.id))sql"};
constexpr db::Query kFindEventBody{"webhooks.find_event", R"sql(
    SELECT type, data, created_at, sequence FROM events WHERE org_id = $1 AND id = $2)sql"};

struct Subscriber {
    model::WebhookId id;
    std::set<std::string, std::less<>> types;

    bool Wants(const SequencedEvent& event) const {
        if (event.type == "webhook.test") return event.subject_id == id.ToString();
        return types.contains("*") || types.contains(event.type);
    }
};

std::vector<Subscriber> SubscribersOf(db::Session& tx, const model::TenantId& tenant) {
    std::vector<Subscriber> out;
    for (const db::Row& row : tx.Execute(kSubscribers, {tenant})) {
        Subscriber subscriber{row.Id<model::WebhookId>(0), {}};
        const auto document = json::Document::Parse(row.Text(1));
        OPENSEND_CHECK(document.ok(), "stored event types are JSON");
        const json::Value list = document->root();
        for (size_t i = 0; i < list.size(); ++i) {
            subscriber.types.emplace(list.At(i).AsString());
        }
        out.push_back(std::move(subscriber));
    }
    return out;
}

}  // namespace

int64_t DeliveryStore::FanOut(
    db::Session& tx,
    const model::TenantId& tenant,
    std::span<const SequencedEvent> events,
    base::UuidSource& ids,
    base::Time now
) {
    std::vector<db::Params> each;
    std::vector<EndpointQueue::Key> brought;
    for (const Subscriber& subscriber : SubscribersOf(tx, tenant)) {
        const size_t before = each.size();
        for (const SequencedEvent& event : events) {
            if (!subscriber.Wants(event)) continue;
            each.push_back({model::DeliveryId(ids.Next()), tenant, subscriber.id, event.id, now});
        }
        if (each.size() > before) brought.emplace_back(tenant, subscriber.id);
    }
    if (each.empty()) return 0;
    tx.ChangeEach(kInsertDelivery, each);
    EndpointQueue::Bring(tx, brought, now);
    return static_cast<int64_t>(each.size());
}

std::vector<model::DeliveryId> DeliveryStore::AddAll(
    db::Session& tx,
    const model::TenantId& tenant,
    const model::WebhookId& webhook,
    std::span<const model::EventId> events,
    base::UuidSource& ids,
    base::Time now
) {
    std::vector<model::DeliveryId> out;
    std::vector<db::Params> each;
    for (const model::EventId& event : events) {
        out.emplace_back(ids.Next());
        each.push_back({out.back(), tenant, webhook, event, now});
    }
    if (each.empty()) return out;
    tx.ChangeEach(kInsertDelivery, each);
    const EndpointQueue::Key key{tenant, webhook};
    EndpointQueue::Bring(tx, {&key, 1}, now);
    return out;
}

int64_t DeliveryStore::NextFence(db::Session& tx) { return tx.First(kDeliveryFence, {})->Int(0); }

int64_t DeliveryStore::ReleaseExpired(db::Session& tx, base::Time now, const std::string& owner) {
    std::set<EndpointQueue::Key> touched;
    const db::Rows rows = tx.Execute(kReleaseExpired, {now, owner});
    for (const db::Row& row : rows) {
        touched.emplace(row.Id<model::TenantId>(0), row.Id<model::WebhookId>(1));
    }
    const std::vector<EndpointQueue::Key> keys(touched.begin(), touched.end());
    for (const auto& [tenant, webhook] : keys) EndpointQueue::Lock(tx, tenant, webhook);
    EndpointQueue::Requeue(tx, keys);
    return static_cast<int64_t>(rows.size());
}

void DeliveryStore::Unclaim(db::Session& tx, const ClaimedDelivery& delivery, base::Time due_at) {
    EndpointQueue::Lock(tx, delivery.tenant, delivery.webhook);
    tx.Change(kUnclaim, {due_at, delivery.tenant, delivery.id, delivery.fence});
    const EndpointQueue::Key key{delivery.tenant, delivery.webhook};
    EndpointQueue::Requeue(tx, {&key, 1});
}

void DeliveryStore::Stop(db::Session& tx, const ClaimedDelivery& delivery) {
    EndpointQueue::Lock(tx, delivery.tenant, delivery.webhook);
    tx.Change(kStopDelivery, {delivery.tenant, delivery.id, delivery.fence});
    const EndpointQueue::Key key{delivery.tenant, delivery.webhook};
    EndpointQueue::Requeue(tx, {&key, 1});
}

bool DeliveryStore::Record(db::Session& tx, const AttemptRecord& record, base::UuidSource& ids) {
    const ClaimedDelivery& delivery = record.delivery;
    const int64_t number = delivery.attempts + 1;
    const bool mine = tx.Change(
                          kAdvance, {record.next_status, number, record.due_at, delivery.tenant,
                                     delivery.id, delivery.fence}
                      ) == 1;
    if (!mine) return false;
    tx.Change(
        kInsertAttempt,
        {model::AttemptId(ids.Next()), delivery.tenant, delivery.id, delivery.webhook,
         delivery.event, number, record.started_at, record.duration_ms, record.http_status,
         record.error, record.remote_address, record.response, record.tls_version, record.headers,
         record.url_host}
    );
    return true;
}

int64_t DeliveryStore::ForgetStuck(db::Session& tx, base::Time oldest) {
    return tx.Change(kForgetStuck, {oldest});
}

std::optional<DeliveryStore::EventBody> DeliveryStore::FindEvent(
    db::Session& session, const model::TenantId& tenant, const model::EventId& event
) {
    const auto row = session.First(kFindEventBody, {tenant, event});
    if (!row) return std::nullopt;
    return EventBody{row->Text(0), row->Text(1), row->Time(2), row->OptionalInt(3).value_or(0)};
}

}  // namespace opensend::webhooks
