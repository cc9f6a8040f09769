#include "kernel/resources/organizations/member_store.h"

#include "kernel/base/error.h"

namespace opensend::organizations {
namespace {

#define OPENSEND_MEMBER_COLUMNS \
    "SELECT id, user_id, role, created_at, updated_at FROM memberships WHERE org_id = $1"
constexpr db::Query kInsertMember{"members.insert", R"sql(
    INSERT INTO memberships (id, org_id, user_id, role, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (org_id, user_id) DO NOTHING)sql"};
constexpr db::Query kFindMember{"members.find", OPENSEND_MEMBER_COLUMNS " AND user_id = $2"};
constexpr db::Query kListMembers{"members.list", OPENSEND_MEMBER_COLUMNS " ORDER BY id"};
constexpr db::Query kSetRole{"members.set_role", R"sql(
    UPDATE memberships SET role = $1, updated_at = $2 WHERE org_id = $3 AND user_id = $4)sql"};
constexpr db::Query kRemoveMember{
    "members.remove", "DELETE FROM memberships WHERE org_id = $1 AND user_id = $2"};
constexpr db::Query kOwnedBy{
    "members.owned_by",
    "SELECT org_id FROM memberships WHERE user_id = $1 AND role = 'owner' ORDER BY org_id"};
// The rows of the owners are held, so that two of them cannot leave at the same moment.
constexpr db::Query kHoldOwners{"members.hold_owners", R"sql(
    SELECT m.user_id, u.state FROM memberships m JOIN users u ON u.id = m.user_id
     WHERE m.org_id = $1 AND m.role = 'owner' ORDER BY m.user_id {for_update})sql"};

Member ReadMember(const db::Row& row) {
    Member member;
    member.id = row.Id<model::MemberId>(0);
    member.user = row.Id<model::UserId>(1);
    member.role = model::ParseRole(row.Text(2)).value_or(model::Role::kViewer);
    member.created_at = row.Time(3);
    member.updated_at = row.Time(4);
    return member;
}

}  // namespace

void MemberStore::Insert(db::Session& tx, const model::TenantId& tenant, const Member& member) {
    const int64_t made = tx.Change(
        kInsertMember,
        {member.id, tenant, member.user, model::ToText(member.role), member.created_at}
    );
    if (made != 1) {
        throw base::Conflict("member_already_exists", "The user is a member already.");
    }
}

std::optional<Member> MemberStore::Find(
    db::Session& session, const model::TenantId& tenant, const model::UserId& user
) {
    const auto row = session.First(kFindMember, {tenant, user});
    return row ? std::optional(ReadMember(*row)) : std::nullopt;
}

std::vector<Member> MemberStore::List(db::Session& session, const model::TenantId& tenant) {
    std::vector<Member> members;
    for (const db::Row& row : session.Execute(kListMembers, {tenant})) {
        members.push_back(ReadMember(row));
    }
    return members;
}

void MemberStore::RequireOtherOwner(
    db::Session& tx, const model::TenantId& tenant, const model::UserId& leaving
) {
    for (const db::Row& row : tx.Execute(kHoldOwners, {tenant})) {
        if (row.Id<model::UserId>(0) != leaving && row.Text(1) == "active") return;
    }
    throw base::Conflict("last_owner", "The organization would be left without an owner.");
}

void MemberStore::SetRole(
    db::Session& tx,
    const model::TenantId& tenant,
    const model::UserId& user,
    model::Role role,
    base::Time now
) {
    const auto member = Find(tx, tenant, user);
    if (!member) throw base::NotFound("Member");
    if (member->role == model::Role::kOwner && role != model::Role::kOwner) {
        RequireOtherOwner(tx, tenant, user);
    }
    tx.Change(kSetRole, {model::ToText(role), now, tenant, user});
}

void MemberStore::Remove(
    db::Session& tx, const model::TenantId& tenant, const model::UserId& user
) {
    const auto member = Find(tx, tenant, user);
    if (!member) throw base::NotFound("Member");
    if (member->role == model::Role::kOwner) RequireOtherOwner(tx, tenant, user);
    tx.Change(kRemoveMember, {tenant, user});
}

std::vector<model::TenantId> MemberStore::OwnedBy(db::Session& session, const model::UserId& user) {
    std::vector<model::TenantId> out;
    for (const db::Row& row : session.Execute(kOwnedBy, {user})) {
        out.push_back(row.Id<model::TenantId>(0));
    }
    return out;
}

}  // namespace opensend::organizations
