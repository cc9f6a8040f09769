#include "kernel/resources/organizations/organization_store.h"

#include "kernel/base/error.h"

namespace opensend::organizations {
namespace {

constexpr db::Query kInsert{"organizations.insert", R"sql(
    INSERT INTO orgs (id, name, state, timezone, created_at) VALUES ($1, $2, $3, $4, $5))sql"};
constexpr db::Query kList{
    "organizations.list", "SELECT id, name, state, timezone, created_at FROM orgs ORDER BY id"};
constexpr db::Query kFind{
    "organizations.find", "SELECT id, name, state, timezone, created_at FROM orgs WHERE id = $1"};
constexpr db::Query kSetState{
    "organizations.set_state", "UPDATE orgs SET state = $1 WHERE id = $2"};
constexpr db::Query kRateLimits{
    "organizations.rate_limits", "SELECT rate_limits FROM orgs WHERE id = $1 {for_update}"};
constexpr db::Query kSetRateLimits{
    "organizations.set_rate_limits", "UPDATE orgs SET rate_limits = $1 WHERE id = $2"};

Organization ReadRow(const db::Row& row) {
    return {row.Id<model::TenantId>(0), row.Text(1), row.Text(2), row.Text(3), row.Time(4)};
}

}  // namespace

void OrganizationStore::Insert(db::Session& tx, const Organization& organization) {
    tx.Change(
        kInsert, {organization.id, organization.name, organization.state, organization.timezone,
                  organization.created_at}
    );
}

std::vector<Organization> OrganizationStore::List(db::Session& session) {
    std::vector<Organization> out;
    for (const db::Row& row : session.Execute(kList, {})) out.push_back(ReadRow(row));
    return out;
}

std::optional<Organization> OrganizationStore::Find(
    db::Session& session, const model::TenantId& tenant
) {
    const auto row = session.First(kFind, {tenant});
    return row ? std::optional(ReadRow(*row)) : std::nullopt;
}

Organization OrganizationStore::Resolve(db::Session& session, const std::string& id_or_name) {
    std::optional<Organization> found;
    for (Organization& candidate : List(session)) {
        if (candidate.id.ToString() != id_or_name && candidate.name != id_or_name) continue;
        if (found)
            throw base::Conflict(
                "organization_ambiguous", "Several organizations have that name; use the id."
            );
        found = std::move(candidate);
    }
    if (!found) throw base::NotFound("Organization");
    return *found;
}

std::string OrganizationStore::RateLimits(db::Session& tx, const model::TenantId& tenant) {
    const auto row = tx.First(kRateLimits, {tenant});
    if (!row) throw base::NotFound("Organization");
    return row->Text(0);
}

void OrganizationStore::SetRateLimits(
    db::Session& tx, const model::TenantId& tenant, const std::string& limits
) {
    tx.Change(kSetRateLimits, {limits, tenant});
}

void OrganizationStore::SetState(
    db::Session& tx, const model::TenantId& tenant, const std::string& state
) {
    tx.Change(kSetState, {state, tenant});
}

}  // namespace opensend::organizations
