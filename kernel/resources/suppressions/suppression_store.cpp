#include "kernel/resources/suppressions/suppression_store.h"

namespace opensend::suppressions {
namespace {

constexpr db::Query kAdd{"suppressions.add", R"sql(
    INSERT INTO suppressions (id, org_id, match_key, email, origin, reason, source_email_id, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (org_id, match_key) DO NOTHING)sql"};
constexpr db::Query kFind{"suppressions.find", R"sql(
    SELECT id, match_key, email, origin, reason, source_email_id, created_at
      FROM suppressions WHERE org_id = $1 AND match_key = $2)sql"};

}  // namespace

bool SuppressionStore::Add(
    db::Session& tx, const model::TenantId& tenant, const Suppression& suppression
) {
    return tx.Change(
               kAdd, {suppression.id, tenant, suppression.match_key, suppression.email,
                      suppression.origin, suppression.reason, suppression.source_email,
                      suppression.created_at}
           ) == 1;
}

std::optional<Suppression> SuppressionStore::Find(
    db::Session& session, const model::TenantId& tenant, const std::string& match_key
) {
    const auto row = session.First(kFind, {tenant, match_key});
    if (!row) return std::nullopt;
    return Suppression{
        row->Id<model::SuppressionId>(0),   row->Text(1), row->Text(2), row->Text(3), row->Text(4),
        row->OptionalId<model::EmailId>(5), row->Time(6)};
}

}  // namespace opensend::suppressions
