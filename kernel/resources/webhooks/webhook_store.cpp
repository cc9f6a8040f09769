#include "kernel/resources/webhooks/webhook_store.h"

#include "kernel/resources/webhooks/delivery_store.h"

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
constexpr db::Query kLockHook{
    "webhooks.lock", "SELECT " OPENSEND_WEBHOOK_COLUMNS " AND id = $2 {for_update}"};
constexpr db::Query kSaveHook{"webhooks.save", R"sql(
    UPDATE webhooks SET endpoint = $1, event_types = $2, status = $3, description = $4,
           signing_secret = $5, signing_secret_prev = $6, prev_expires_at = $7,
           disabled_reason = $8, updated_at = $9
     WHERE org_id = $10 AND id = $11)sql"};
constexpr db::Query kDropReplays{
    "webhooks.drop_replays", "DELETE FROM webhook_replays WHERE org_id = $1 AND webhook_id = $2"};

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
    EndpointQueue::Open(tx, tenant, webhook.id);
}

std::optional<Webhook> WebhookStore::Find(
    db::Session& session, const model::TenantId& tenant, const model::WebhookId& id
) {
    const auto row = session.First(kFindHook, {tenant, id});
    return row ? std::optional(ReadWebhook(*row)) : std::nullopt;
}

std::optional<Webhook> WebhookStore::Lock(
    db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id
) {
    const auto row = tx.First(kLockHook, {tenant, id});
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
    StopDeliveries(tx, tenant, id);
    EndpointQueue::Close(tx, tenant, id);
    return tx.Change(kDeleteHook, {tenant, id}) == 1;
}

void WebhookStore::Save(db::Session& tx, const model::TenantId& tenant, const Webhook& webhook) {
    tx.Change(
        kSaveHook, {webhook.endpoint, webhook.event_types, webhook.status, webhook.description,
                    webhook.signing_secret, webhook.signing_secret_prev, webhook.prev_expires_at,
                    webhook.disabled_reason, webhook.updated_at, tenant, webhook.id}
    );
}

void WebhookStore::StopDeliveries(
    db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id
) {
    EndpointQueue::Lock(tx, tenant, id);
    tx.Change(kStopDeliveries, {tenant, id});
    tx.Change(kDropReplays, {tenant, id});
}

}  // namespace opensend::webhooks
