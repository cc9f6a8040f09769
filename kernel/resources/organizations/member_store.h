#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/base/uuid.h"
#include "kernel/db/session.h"
#include "kernel/model/ids.h"
#include "kernel/model/role.h"

namespace opensend::organizations {

/// One user's place in one organization.
struct Member {
    model::MemberId id;
    model::UserId user;
    model::Role role = model::Role::kMember;
    base::Time created_at, updated_at;
};

/// An organization keeps at least one owner whose account is active: what would leave it without
/// throws Conflict, reason "last_owner" (ORG-22).
class MemberStore {
public:
    /// Throws Conflict, reason "member_already_exists".
    static void Insert(db::Session& tx, const model::TenantId& tenant, const Member& member);
    static std::optional<Member> Find(
        db::Session& session, const model::TenantId& tenant, const model::UserId& user
    );
    static std::vector<Member> List(db::Session& session, const model::TenantId& tenant);
    static void SetRole(
        db::Session& tx,
        const model::TenantId& tenant,
        const model::UserId& user,
        model::Role role,
        base::Time now
    );
    static void Remove(db::Session& tx, const model::TenantId& tenant, const model::UserId& user);
    /// The tenants in which the user is an owner; for operators, over all tenants.
    static std::vector<model::TenantId> OwnedBy(db::Session& session, const model::UserId& user);
    /// Throws when no active owner but `leaving` is left. Needs to see users: all tenants.
    static void RequireOtherOwner(
        db::Session& tx, const model::TenantId& tenant, const model::UserId& leaving
    );
};

}  // namespace opensend::organizations
