#include "kernel/resources/event_log/event_log_store.h"

namespace opensend::event_log {
namespace {

constexpr db::Query kLatestEntry{
    "event_log.latest", "SELECT last FROM event_sequences WHERE org_id = $1"};
constexpr db::Query kOldestEntry{"event_log.oldest", R"sql(
    SELECT sequence FROM events WHERE org_id = $1 AND sequence IS NOT NULL
     ORDER BY sequence LIMIT 1)sql"};
constexpr db::Query kReadEntries{"event_log.read", R"sql(
    SELECT id, sequence, type, created_at, data FROM events
     WHERE org_id = $1 AND sequence > $2 AND sequence <= $3
       AND ($4 = '' OR $4 LIKE '%,' || type || ',%')
     ORDER BY sequence LIMIT $5)sql"};

}  // namespace

int64_t EventLogStore::Latest(db::Session& session, const model::TenantId& tenant) {
    const auto row = session.First(kLatestEntry, {tenant});
    return row ? row->Int(0) : 0;
}

LogRange EventLogStore::Range(db::Session& session, const model::TenantId& tenant) {
    // In this order: what is removed or added in between only makes the range smaller.
    LogRange range;
    range.latest = Latest(session, tenant);
    const auto oldest = session.First(kOldestEntry, {tenant});
    range.oldest = oldest ? oldest->Int(0) : range.latest + 1;
    return range;
}

std::vector<LogEntry> EventLogStore::Read(
    db::Session& session,
    const model::TenantId& tenant,
    int64_t after,
    int64_t upto,
    const std::string& types,
    int64_t limit
) {
    std::vector<LogEntry> out;
    for (const db::Row& row : session.Execute(kReadEntries, {tenant, after, upto, types, limit})) {
        out.push_back({row.Id<model::EventId>(0), row.Int(1), row.Text(2), row.Time(3), row.Text(4)}
        );
    }
    return out;
}

}  // namespace opensend::event_log
