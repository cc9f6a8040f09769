#include "kernel/resources/webhooks/replay_store.h"

namespace opensend::webhooks {
namespace {

#define OPENSEND_RANGE_ROWS                                                                 \
    " FROM webhook_deliveries d JOIN events e ON e.org_id = d.org_id AND e.id = d.event_id" \
    " WHERE d.org_id = $1 AND d.webhook_id = $2 AND d.event_id > $3"                        \
    " AND e.created_at >= $4 AND e.created_at <= $5"                                        \
    " AND ($6 = '' OR $6 LIKE '%,' || e.type || ',%')"                                      \
    " AND $7 LIKE '%,' || CASE WHEN d.status = 'pending' AND d.lease_until > 0"             \
    " THEN 'attempting' ELSE d.status END || ',%'"                                          \
    " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries n WHERE n.org_id = d.org_id"         \
    " AND n.webhook_id = d.webhook_id AND n.event_id = d.event_id AND n.id > d.id)"         \
    " ORDER BY d.event_id LIMIT $8"

constexpr db::Query kCountRange{
    "webhook_replays.count", "SELECT COUNT(*) FROM (SELECT d.event_id" OPENSEND_RANGE_ROWS ") m"};
constexpr db::Query kNextOfRange{
    "webhook_replays.next_of_range", "SELECT d.event_id" OPENSEND_RANGE_ROWS};
constexpr db::Query kNextOfBackfill{"webhook_replays.next_of_backfill", R"sql(
    SELECT e.id, e.sequence FROM events e
     WHERE e.org_id = $1 AND e.sequence > $2 AND e.created_at >= $3 AND e.created_at <= $4
       AND e.type <> 'webhook.test' AND ($5 = '' OR $5 LIKE '%,' || e.type || ',%')
       AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d
                        WHERE d.org_id = e.org_id AND d.webhook_id = $6 AND d.event_id = e.id
                          AND d.status <> 'failed')
     ORDER BY e.sequence LIMIT $7)sql"};
constexpr db::Query kAddReplay{"webhook_replays.add", R"sql(
    INSERT INTO webhook_replays (id, org_id, webhook_id, kind, since_at, until_at, after_sequence,
                                 types, statuses, remaining, last_event_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11))sql"};
constexpr db::Query kTakeReplay{"webhook_replays.take", R"sql(
    SELECT id, org_id, webhook_id, kind, since_at, until_at, after_sequence, types, statuses,
           remaining, last_event_id
      FROM webhook_replays ORDER BY id LIMIT 1 {skip_locked})sql"};
constexpr db::Query kSaveReplay{"webhook_replays.save", R"sql(
    UPDATE webhook_replays SET after_sequence = $1, remaining = $2, last_event_id = $3
     WHERE org_id = $4 AND id = $5)sql"};
constexpr db::Query kRemoveReplay{
    "webhook_replays.remove", "DELETE FROM webhook_replays WHERE org_id = $1 AND id = $2"};

db::Params RangeParams(const ReplayJob& job, int64_t limit) {
    return {job.tenant, job.webhook, job.last_event, job.since,
            job.until,  job.types,   job.statuses,   limit};
}

}  // namespace

int64_t ReplayStore::Count(db::Session& session, const ReplayJob& job) {
    return session.First(kCountRange, RangeParams(job, job.remaining))->Int(0);
}

void ReplayStore::Add(db::Session& tx, const ReplayJob& job) {
    const char* kind = job.kind == ReplayJob::Kind::kRange ? "range" : "backfill";
    tx.Change(
        kAddReplay, {job.id.ToString(), job.tenant, job.webhook, kind, job.since, job.until,
                     job.after_sequence, job.types, job.statuses, job.remaining, job.last_event}
    );
}

std::optional<ReplayJob> ReplayStore::Take(db::Session& tx) {
    const auto row = tx.First(kTakeReplay, {});
    if (!row) return std::nullopt;
    ReplayJob job;
    job.id = base::ParseUuid(row->Text(0)).value_or(base::Uuid{});
    job.tenant = row->Id<model::TenantId>(1);
    job.webhook = row->Id<model::WebhookId>(2);
    job.kind = row->Text(3) == "range" ? ReplayJob::Kind::kRange : ReplayJob::Kind::kBackfill;
    job.since = row->Time(4);
    job.until = row->Time(5);
    job.after_sequence = row->Int(6);
    job.types = row->Text(7);
    job.statuses = row->Text(8);
    job.remaining = row->Int(9);
    job.last_event = row->Text(10);
    return job;
}

std::vector<model::EventId> ReplayStore::Next(db::Session& session, ReplayJob& job, int64_t limit) {
    std::vector<model::EventId> out;
    if (job.kind == ReplayJob::Kind::kRange) {
        for (const db::Row& row : session.Execute(kNextOfRange, RangeParams(job, limit))) {
            out.push_back(row.Id<model::EventId>(0));
        }
        if (!out.empty()) job.last_event = out.back().ToString();
        return out;
    }
    const db::Params params = {job.tenant, job.after_sequence, job.since, job.until,
                               job.types,  job.webhook,        limit};
    for (const db::Row& row : session.Execute(kNextOfBackfill, params)) {
        out.push_back(row.Id<model::EventId>(0));
        job.after_sequence = row.Int(1);
    }
    return out;
}

void ReplayStore::Save(db::Session& tx, const ReplayJob& job) {
    tx.Change(
        kSaveReplay,
        {job.after_sequence, job.remaining, job.last_event, job.tenant, job.id.ToString()}
    );
}

void ReplayStore::Remove(db::Session& tx, const ReplayJob& job) {
    tx.Change(kRemoveReplay, {job.tenant, job.id.ToString()});
}

}  // namespace opensend::webhooks
