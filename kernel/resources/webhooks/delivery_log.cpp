#include "kernel/resources/webhooks/delivery_log.h"

namespace opensend::webhooks {
namespace {

#define OPENSEND_DELIVERY_STATE                                                    \
    "CASE WHEN d.status = 'pending' AND d.lease_until > 0 THEN 'attempting' ELSE " \
    "d.status END"
#define OPENSEND_DELIVERY_ROWS                                                              \
    "SELECT d.id, d.event_id, e.type, " OPENSEND_DELIVERY_STATE                             \
    ", d.attempts, a.http_status, a.response, a.started_at, d.due_at"                       \
    " FROM webhook_deliveries d JOIN events e ON e.id = d.event_id AND e.org_id = d.org_id" \
    " LEFT JOIN webhook_attempts a ON a.org_id = d.org_id AND a.delivery_id = d.id"         \
    " AND a.number = d.attempts"                                                            \
    " WHERE d.org_id = $1 AND d.webhook_id = $2"
#define OPENSEND_EVENT_ROWS                                                                 \
    "SELECT e.id, e.type, e.created_at, " OPENSEND_DELIVERY_STATE                           \
    ", d.due_at, e.sequence, e.data"                                                        \
    " FROM webhook_deliveries d JOIN events e ON e.id = d.event_id AND e.org_id = d.org_id" \
    " WHERE d.org_id = $1 AND d.webhook_id = $2 AND NOT EXISTS ("                           \
    "SELECT 1 FROM webhook_deliveries n WHERE n.org_id = d.org_id"                          \
    " AND n.webhook_id = d.webhook_id AND n.event_id = d.event_id AND n.id > d.id)"
#define OPENSEND_ATTEMPT_ROWS                                                            \
    "SELECT id, number, http_status, response, started_at, duration_ms, error, url_host" \
    " FROM webhook_attempts WHERE org_id = $1 AND webhook_id = $2 AND event_id = $3"

constexpr db::Query kOlderDeliveries{
    "webhook_log.older_deliveries",
    OPENSEND_DELIVERY_ROWS " AND d.id < $3 ORDER BY d.id DESC LIMIT $4"};
constexpr db::Query kNewerDeliveries{
    "webhook_log.newer_deliveries", OPENSEND_DELIVERY_ROWS " AND d.id > $3 ORDER BY d.id LIMIT $4"};
constexpr db::Query kFindDelivery{
    "webhook_log.find_delivery", OPENSEND_DELIVERY_ROWS " AND d.id = $3"};
constexpr db::Query kOlderEvents{
    "webhook_log.older_events",
    OPENSEND_EVENT_ROWS " AND d.event_id < $3 ORDER BY d.event_id DESC LIMIT $4"};
constexpr db::Query kNewerEvents{
    "webhook_log.newer_events",
    OPENSEND_EVENT_ROWS " AND d.event_id > $3 ORDER BY d.event_id LIMIT $4"};
constexpr db::Query kFindEvent{
    "webhook_log.find_event", OPENSEND_EVENT_ROWS " AND d.event_id = $3"};
constexpr db::Query kOlderAttempts{
    "webhook_log.older_attempts", OPENSEND_ATTEMPT_ROWS " AND id < $4 ORDER BY id DESC LIMIT $5"};
constexpr db::Query kNewerAttempts{
    "webhook_log.newer_attempts", OPENSEND_ATTEMPT_ROWS " AND id > $4 ORDER BY id LIMIT $5"};

bool Waits(const std::string& status) { return status == "pending" || status == "attempting"; }

DeliveryView ReadDelivery(const db::Row& row) {
    DeliveryView delivery;
    delivery.id = row.Id<model::DeliveryId>(0);
    delivery.event = row.Id<model::EventId>(1);
    delivery.event_type = row.Text(2);
    delivery.status = row.Text(3);
    delivery.attempt = row.Int(4);
    delivery.status_code = row.OptionalInt(5).value_or(0);
    delivery.response_body = row.OptionalText(6).value_or("");
    delivery.attempted_at = row.OptionalTime(7);
    if (Waits(delivery.status)) delivery.next_retry_at = row.Time(8);
    return delivery;
}

EventView ReadEvent(const db::Row& row) {
    EventView event;
    event.id = row.Id<model::EventId>(0);
    event.type = row.Text(1);
    event.created_at = row.Time(2);
    event.status = row.Text(3);
    if (Waits(event.status)) event.next_attempt_at = row.Time(4);
    event.sequence = row.OptionalInt(5).value_or(0);
    event.data = row.Text(6);
    return event;
}

AttemptView ReadAttempt(const db::Row& row) {
    return {
        row.Id<model::AttemptId>(0), row.Int(1), row.Int(2), row.Text(3), row.Time(4), row.Int(5),
        row.OptionalText(6),         row.Text(7)};
}

/// Next to the cursor, away from it.
std::string Cursor(const db::PageRequest& page) {
    return page.backwards() ? *page.before : page.after.value_or("~");
}

}  // namespace

db::Page<DeliveryView> DeliveryLog::Deliveries(
    db::Session& session, const Of& of, const db::PageRequest& page
) {
    std::vector<DeliveryView> rows;
    const db::Query& query = page.backwards() ? kNewerDeliveries : kOlderDeliveries;
    const db::Params params = {of.tenant, of.webhook, Cursor(page), page.fetch()};
    for (const db::Row& row : session.Execute(query, params)) rows.push_back(ReadDelivery(row));
    return db::TrimPage(std::move(rows), page);
}

std::optional<DeliveryView> DeliveryLog::FindDelivery(
    db::Session& session, const Of& of, const model::DeliveryId& id
) {
    const auto row = session.First(kFindDelivery, {of.tenant, of.webhook, id});
    return row ? std::optional(ReadDelivery(*row)) : std::nullopt;
}

db::Page<EventView> DeliveryLog::Events(
    db::Session& session, const Of& of, const db::PageRequest& page
) {
    std::vector<EventView> rows;
    const db::Query& query = page.backwards() ? kNewerEvents : kOlderEvents;
    const db::Params params = {of.tenant, of.webhook, Cursor(page), page.fetch()};
    for (const db::Row& row : session.Execute(query, params)) rows.push_back(ReadEvent(row));
    return db::TrimPage(std::move(rows), page);
}

std::optional<EventView> DeliveryLog::FindEvent(
    db::Session& session, const Of& of, const model::EventId& id
) {
    const auto row = session.First(kFindEvent, {of.tenant, of.webhook, id});
    return row ? std::optional(ReadEvent(*row)) : std::nullopt;
}

db::Page<AttemptView> DeliveryLog::Attempts(
    db::Session& session, const Of& of, const model::EventId& event, const db::PageRequest& page
) {
    std::vector<AttemptView> rows;
    const db::Query& query = page.backwards() ? kNewerAttempts : kOlderAttempts;
    const db::Params params = {of.tenant, of.webhook, event, Cursor(page), page.fetch()};
    for (const db::Row& row : session.Execute(query, params)) rows.push_back(ReadAttempt(row));
    return db::TrimPage(std::move(rows), page);
}

}  // namespace opensend::webhooks
