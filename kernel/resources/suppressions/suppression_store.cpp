#include "kernel/resources/suppressions/suppression_store.h"

#include <algorithm>

#include "kernel/base/text.h"
#include "kernel/json/writer.h"

namespace opensend::suppressions {
namespace {

#define OPENSEND_SUPPRESSION_COLUMNS                                                    \
    "SELECT id, match_key, email, origin, reason, source_email_id, created_at,"         \
    " source_event_id, source_message_id, metadata, note, updated_at FROM suppressions" \
    " WHERE org_id = $1"
#define OPENSEND_SUPPRESSION_FILTER                                                  \
    " AND ($3 = '' OR origin = $3) AND ($4 = '' OR reason = $4)"                     \
    " AND ($5 = '' OR match_key = $5) AND ($6 = '' OR match_key LIKE $6 ESCAPE '!')" \
    " AND ($7 = '' OR match_key LIKE $7 ESCAPE '!')"                                 \
    " AND created_at >= $8 AND created_at <= $9"

constexpr db::Query kAdd{"suppressions.add", R"sql(
    INSERT INTO suppressions (id, org_id, match_key, email, origin, reason, source_email_id,
                              created_at, source_event_id, source_message_id, metadata, note)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (org_id, match_key) DO NOTHING)sql"};
constexpr db::Query kRaise{"suppressions.raise", R"sql(
    UPDATE suppressions SET reason = 'complained', updated_at = $1
     WHERE org_id = $2 AND match_key = $3 AND reason <> 'complained')sql"};
constexpr db::Query kFindSuppression{
    "suppressions.find", OPENSEND_SUPPRESSION_COLUMNS " AND match_key = $2"};
constexpr db::Query kFindById{
    "suppressions.find_by_id", OPENSEND_SUPPRESSION_COLUMNS " AND id = $2"};
constexpr db::Query kOlderSuppressions{
    "suppressions.list_older", OPENSEND_SUPPRESSION_COLUMNS
    " AND id < $2" OPENSEND_SUPPRESSION_FILTER " ORDER BY id DESC LIMIT $10"};
constexpr db::Query kNewerSuppressions{
    "suppressions.list_newer", OPENSEND_SUPPRESSION_COLUMNS
    " AND id > $2" OPENSEND_SUPPRESSION_FILTER " ORDER BY id LIMIT $10"};
constexpr db::Query kIdsBetween{"suppressions.ids_between", R"sql(
    SELECT id FROM suppressions WHERE org_id = $1 AND id >= $2 AND id <= $3)sql"};
constexpr db::Query kRemove{
    "suppressions.remove", "DELETE FROM suppressions WHERE org_id = $1 AND id = $2"};

Suppression ReadSuppression(const db::Row& row) {
    return {
        row.Id<model::SuppressionId>(0),
        row.Text(1),
        row.Text(2),
        row.Text(3),
        row.Text(4),
        row.OptionalId<model::EmailId>(5),
        row.Time(6),
        row.OptionalId<model::EventId>(7),
        row.OptionalText(8),
        row.Text(9),
        row.OptionalText(10),
        row.OptionalTime(11)};
}

db::Params AddParams(const model::TenantId& tenant, const Suppression& s) {
    return {s.id,       tenant,         s.match_key,  s.email,        s.origin,
            s.reason,   s.source_email, s.created_at, s.source_event, s.source_message_id,
            s.metadata, s.note};
}

std::string EscapeLike(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '!' || c == '%' || c == '_') out += '!';
        out += c;
    }
    return out;
}

}  // namespace

bool SuppressionStore::Add(
    db::Session& tx, const model::TenantId& tenant, const Suppression& suppression
) {
    if (tx.Change(kAdd, AddParams(tenant, suppression)) == 1) return true;
    if (suppression.reason == "complained") {
        tx.Change(kRaise, {suppression.created_at, tenant, suppression.match_key});
    }
    return false;
}

std::set<model::SuppressionId> SuppressionStore::AddAll(
    db::Session& tx, const model::TenantId& tenant, std::span<const Suppression> suppressions
) {
    std::set<model::SuppressionId> added;
    if (suppressions.empty()) return added;
    std::vector<db::Params> each, raised;
    std::set<model::SuppressionId> ours;
    for (const Suppression& one : suppressions) {
        each.push_back(AddParams(tenant, one));
        ours.insert(one.id);
        if (one.reason == "complained") raised.push_back({one.created_at, tenant, one.match_key});
    }
    tx.ChangeEach(kAdd, each);
    if (!raised.empty()) tx.ChangeEach(kRaise, raised);
    // Ids of one moment lie close together, so this reads hardly more than was written.
    for (const db::Row& row : tx.Execute(kIdsBetween, {tenant, *ours.begin(), *ours.rbegin()})) {
        const auto id = row.Id<model::SuppressionId>(0);
        if (ours.contains(id)) added.insert(id);
    }
    return added;
}

std::optional<Suppression> SuppressionStore::Find(
    db::Session& session, const model::TenantId& tenant, const std::string& match_key
) {
    const auto row = session.First(kFindSuppression, {tenant, match_key});
    return row ? std::optional(ReadSuppression(*row)) : std::nullopt;
}

std::optional<Suppression> SuppressionStore::FindById(
    db::Session& session, const model::TenantId& tenant, const model::SuppressionId& id
) {
    const auto row = session.First(kFindById, {tenant, id});
    return row ? std::optional(ReadSuppression(*row)) : std::nullopt;
}

db::Page<Suppression> SuppressionStore::List(
    db::Session& session,
    const model::TenantId& tenant,
    const SuppressionFilter& filter,
    const db::PageRequest& page
) {
    const std::string cursor = page.backwards() ? *page.before : page.after.value_or("~");
    const std::string search = filter.search.empty() ? "" : EscapeLike(filter.search) + "%";
    const std::string domain = filter.domain.empty() ? "" : "%@" + EscapeLike(filter.domain);
    const db::Params params = {
        tenant, cursor, filter.origin,        filter.reason,         filter.match_key,
        search, domain, filter.created_after, filter.created_before, page.fetch()};
    std::vector<Suppression> rows;
    const db::Query& query = page.backwards() ? kNewerSuppressions : kOlderSuppressions;
    for (const db::Row& row : session.Execute(query, params)) rows.push_back(ReadSuppression(row));
    return db::TrimPage(std::move(rows), page);
}

bool SuppressionStore::Remove(
    db::Session& tx, const model::TenantId& tenant, const model::SuppressionId& id
) {
    return tx.Change(kRemove, {tenant, id}) == 1;
}

std::string SuppressionEventData(const Suppression& suppression) {
    json::Writer out;
    out.BeginObject().Field("id", suppression.id.ToString()).Field("email", suppression.email);
    out.Field("origin", suppression.origin);
    out.Field(
        "source_id", suppression.source_email ? std::optional(suppression.source_email->ToString())
                                              : std::nullopt
    );
    out.Field("created_at", suppression.created_at).EndObject();
    return out.Take();
}

}  // namespace opensend::suppressions
