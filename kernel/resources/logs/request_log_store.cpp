#include "kernel/resources/logs/request_log_store.h"

#include "kernel/api/redact.h"
#include "kernel/base/text.h"
#include "kernel/json/writer.h"

namespace opensend::logs {
namespace {

constexpr db::Query kAddLog{"logs.insert", R"sql(
    INSERT INTO api_logs (id, org_id, created_at, endpoint, method, status, user_agent, key_id,
                          request_id, correlation_id, duration_ms, replayed, email_ids, tags,
                          request_body, response_body)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16))sql"};
#define OPENSEND_LOG_COLUMNS                                                     \
    "id, created_at, endpoint, method, status, user_agent, key_id, request_id, " \
    "correlation_id, duration_ms, replayed, email_ids"
constexpr db::Query kFindLog{
    "logs.find", "SELECT " OPENSEND_LOG_COLUMNS
                 ", request_body, response_body FROM api_logs "
                 "WHERE org_id = $1 AND id = $2"};

// An absent filter is null; the cast gives PostgreSQL the parameter's type.
#define OPENSEND_LOG_FILTER                                                                    \
    " AND (CAST($3 AS BIGINT) IS NULL OR status >= $3)"                                        \
    " AND (CAST($4 AS BIGINT) IS NULL OR status <= $4)"                                        \
    " AND (CAST($5 AS TEXT) IS NULL OR method = $5)"                                           \
    " AND (CAST($6 AS TEXT) IS NULL OR substr(endpoint, 1, length($6)) = $6)"                  \
    " AND (CAST($7 AS TEXT) IS NULL OR key_id = $7)"                                           \
    " AND (CAST($8 AS TEXT) IS NULL OR replace(user_agent, $8, '') <> user_agent)"             \
    " AND (CAST($9 AS TEXT) IS NULL OR replace(endpoint || ' ' || user_agent || ' ' "          \
    "      || request_id || ' ' || COALESCE(request_body, '') || COALESCE(response_body, '')," \
    "      $9, '') <> endpoint || ' ' || user_agent || ' ' || request_id || ' ' "              \
    "      || COALESCE(request_body, '') || COALESCE(response_body, ''))"                      \
    " AND (CAST($10 AS TEXT) IS NULL OR replace(email_ids, $10, '') <> email_ids)"             \
    " AND (CAST($11 AS TEXT) IS NULL OR request_id = $11)"                                     \
    " AND (CAST($12 AS TEXT) IS NULL OR replace(tags, $12, '') <> tags)"                       \
    " AND (CAST($13 AS BIGINT) IS NULL OR created_at >= $13)"                                  \
    " AND (CAST($14 AS BIGINT) IS NULL OR created_at <= $14)"
constexpr db::Query kOlderLogs{
    "logs.list_older", "SELECT " OPENSEND_LOG_COLUMNS
                       " FROM api_logs WHERE org_id = $1 AND id < $2" OPENSEND_LOG_FILTER
                       " ORDER BY id DESC LIMIT $15"};
constexpr db::Query kNewerLogs{
    "logs.list_newer",
    "SELECT " OPENSEND_LOG_COLUMNS
    " FROM api_logs WHERE org_id = $1 AND id > $2" OPENSEND_LOG_FILTER " ORDER BY id LIMIT $15"};
constexpr db::Query kForgetLogs{"logs.forget", R"sql(
    DELETE FROM api_logs WHERE id IN
        (SELECT id FROM api_logs WHERE created_at < $1 ORDER BY created_at LIMIT $2))sql"};

std::string TagsText(const std::vector<std::pair<std::string, std::string>>& tags) {
    json::Writer out;
    out.BeginArray();
    for (const auto& [name, value] : tags) {
        out.BeginObject().Field("name", name).Field("value", value).EndObject();
    }
    out.EndArray();
    return out.Take();
}

std::string IdsText(const std::vector<std::string>& ids) {
    json::Writer out;
    out.BeginArray();
    for (const std::string& id : ids) out.String(id);
    out.EndArray();
    return out.Take();
}

std::optional<std::string> RedactedText(const std::string& body) {
    if (body.empty()) return std::nullopt;
    const auto document = json::Document::Parse(body);
    if (!document.ok()) return std::nullopt;
    return api::Redact(document->root());
}

LogEntry ReadLog(const db::Row& row) {
    LogEntry entry;
    entry.id = row.Id<model::LogId>(0);
    entry.created_at = row.Time(1);
    entry.endpoint = row.Text(2);
    entry.method = row.Text(3);
    entry.status = row.Int(4);
    entry.user_agent = row.Text(5);
    entry.key_id = row.Text(6);
    entry.request_id = row.Text(7);
    entry.correlation_id = row.Text(8);
    entry.duration_ms = row.Int(9);
    entry.replayed = row.Bool(10);
    entry.email_ids = row.Text(11);
    return entry;
}

}  // namespace

void RequestLogStore::Insert(db::Session& tx, std::span<const api::RequestRecord> records) {
    std::vector<db::Params> rows;
    rows.reserve(records.size());
    for (const api::RequestRecord& record : records) {
        rows.push_back(
            {record.id, record.tenant, record.at, record.endpoint, record.method, record.status,
             record.user_agent, record.key, record.request_id, record.correlation_id,
             record.duration_ms, record.replayed, IdsText(record.email_ids), TagsText(record.tags),
             record.request_body, RedactedText(record.response_body)}
        );
    }
    if (!rows.empty()) tx.ChangeEach(kAddLog, rows);
}

std::optional<LogEntry> RequestLogStore::Find(
    db::Session& session, const model::TenantId& tenant, const model::LogId& id
) {
    const auto row = session.First(kFindLog, {tenant, id});
    if (!row) return std::nullopt;
    LogEntry entry = ReadLog(*row);
    entry.request_body = row->OptionalText(12);
    entry.response_body = row->OptionalText(13);
    return entry;
}

db::Page<LogEntry> RequestLogStore::List(
    db::Session& session,
    const model::TenantId& tenant,
    const LogFilter& filter,
    const db::PageRequest& page
) {
    const bool newer = page.backwards();
    const db::Params params = {
        tenant,
        newer ? *page.before : page.after.value_or("~"),
        filter.status_from,
        filter.status_to,
        filter.method,
        filter.endpoint_prefix,
        filter.key_id,
        filter.user_agent,
        filter.search,
        filter.email_id,
        filter.request_id,
        filter.tag,
        filter.created_after,
        filter.created_before,
        page.fetch()};
    std::vector<LogEntry> rows;
    for (const db::Row& row : session.Execute(newer ? kNewerLogs : kOlderLogs, params)) {
        rows.push_back(ReadLog(row));
    }
    return db::TrimPage(std::move(rows), page);
}

int64_t RequestLogStore::Forget(db::Session& tx, base::Time older_than, int64_t limit) {
    return tx.Change(kForgetLogs, {older_than, limit});
}

}  // namespace opensend::logs
