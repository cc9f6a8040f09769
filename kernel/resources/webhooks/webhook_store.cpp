#include "kernel/resources/webhooks/webhook_store.h"

namespace opensend::webhooks {
namespace {

#define OPENSEND_WEBHOOK_COLUMNS                                                            \
    "id, endpoint, event_types, status, description, signing_secret, signing_secret_prev, " \
    "prev_expires_at, disabled_reason, updated_at FROM webhooks WHERE org_id = $1"

constexpr db::Query kInsertHook{"webhooks.insert", R"sql(
    INSERT INTO webhooks (id, org_id, endpoint, event_types, status, description, signing_secret,
                          created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8))sql"};
constexpr db::Query kFindHook{"webhooks.find", "SELECT " OPENSEND_WEBHOOK_COLUMNS " AND id = $2"};
constexpr db::Query kOlderHooks{
    "webhooks.list_older",
    "SELECT " OPENSEND_WEBHOOK_COLUMNS " AND id < $2 ORDER BY id DESC LIMIT $3"};
constexpr db::Query kNewerHooks{
    "webhooks.list_newer", "SELECT " OPENSEND_WEBHOOK_COLUMNS " AND id > $2 ORDER BY id LIMIT $3"};
constexpr db::Query kCountHooks{
    "webhooks.count", "SELECT COUNT(*) FROM webhooks WHERE org_id = $1"};
constexpr db::Query kDeleteHook{
    "webhooks.delete", "DELETE FROM webhooks WHERE org_id = $1 AND id = $2"};
constexpr db::Query kStopDeliveries{"webhooks.stop_deliveries", R"sql(
    UPDATE webhook_deliveries SET status = 'failed'
     WHERE org_id = $1 AND webhook_id = $2 AND status = 'pending')sql"};
constexpr db::Query kRecent{"webhooks.recent", R"sql(
    SELECT d.id, d.event_id, e.type, d.status, d.attempts, a.http_status, a.response, a.started_at,
           d.due_at
      FROM webhook_deliveries d JOIN events e ON e.id = d.event_id AND e.org_id = d.org_id
      LEFT JOIN webhook_attempts a
        ON a.delivery_id = d.id AND a.number = d.attempts AND a.org_id = d.org_id
     WHERE d.org_id = $1 AND d.webhook_id = $2 ORDER BY d.id DESC LIMIT 20)sql"};

Webhook ReadWebhook(const db::Row& row) {
    Webhook hook;
    hook.id = row.Id<model::WebhookId>(0);
    hook.endpoint = row.Text(1);
    hook.event_types = row.Text(2);
    hook.status = row.Text(3);
    hook.description = row.OptionalText(4);
    hook.signing_secret = row.Text(5);
    hook.signing_secret_prev = row.OptionalText(6);
    hook.prev_expires_at = row.OptionalTime(7);
    hook.disabled_reason = row.OptionalText(8);
    hook.updated_at = row.Time(9);
    return hook;
}

}  // namespace

void WebhookStore::Insert(db::Session& tx, const model::TenantId& tenant, const Webhook& webhook) {
    tx.Change(
        kInsertHook, {webhook.id, tenant, webhook.endpoint, webhook.event_types, webhook.status,
                      webhook.description, webhook.signing_secret, webhook.updated_at}
    );
}

std::optional<Webhook> WebhookStore::Find(
    db::Session& session, const model::TenantId& tenant, const model::WebhookId& id
) {
    const auto row = session.First(kFindHook, {tenant, id});
    return row ? std::optional(ReadWebhook(*row)) : std::nullopt;
}

db::Page<Webhook> WebhookStore::List(
    db::Session& session, const model::TenantId& tenant, const db::PageRequest& page
) {
    std::vector<Webhook> rows;
    for (const db::Row& row : db::FetchPage(session, kOlderHooks, kNewerHooks, tenant, page)) {
        rows.push_back(ReadWebhook(row));
    }
    return db::TrimPage(std::move(rows), page);
}

int64_t WebhookStore::Count(db::Session& session, const model::TenantId& tenant) {
    return session.First(kCountHooks, {tenant})->Int(0);
}

bool WebhookStore::Delete(
    db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id
) {
    tx.Change(kStopDeliveries, {tenant, id});
    return tx.Change(kDeleteHook, {tenant, id}) == 1;
}

std::vector<RecentDelivery> WebhookStore::Recent(
    db::Session& session, const model::TenantId& tenant, const model::WebhookId& id
) {
    std::vector<RecentDelivery> out;
    for (const db::Row& row : session.Execute(kRecent, {tenant, id})) {
        RecentDelivery delivery;
        delivery.id = row.Id<model::DeliveryId>(0);
        delivery.event = row.Id<model::EventId>(1);
        delivery.event_type = row.Text(2);
        delivery.status = row.Text(3);
        delivery.attempt = row.Int(4);
        delivery.status_code = row.OptionalInt(5).value_or(0);
        delivery.response_body = row.OptionalText(6).value_or("");
        delivery.attempted_at = row.OptionalTime(7);
        if (delivery.status == "pending") delivery.next_retry_at = row.Time(8);
        out.push_back(std::move(delivery));
    }
    return out;
}

}  // namespace opensend::webhooks
