#include "kernel/model/role.h"

#include "kernel/base/check.h"

namespace opensend::model {
namespace {

struct RoleRow {
    Role role;
    std::string_view name;
    bool read, send, write, admin, members;
};
constexpr RoleRow kRoles[] = {
    {Role::kOwner,  "owner",  true, true,  true,  true,  true },
    {Role::kAdmin,  "admin",  true, true,  true,  true,  true },
    {Role::kMember, "member", true, true,  true,  false, false},
    {Role::kViewer, "viewer", true, false, false, false, false},
};

const RoleRow& RowOf(Role role) {
    for (const RoleRow& row : kRoles) {
        if (row.role == role) return row;
    }
    OPENSEND_CHECK(false, "every role has a row");
}

}  // namespace

std::string_view ToText(Role role) { return RowOf(role).name; }

std::optional<Role> ParseRole(std::string_view text) {
    for (const RoleRow& row : kRoles) {
        if (row.name == text) return row.role;
    }
    return std::nullopt;
}

bool Allows(Role role, RouteClass route) {
    const RoleRow& row = RowOf(role);
    switch (route) {
        case RouteClass::kRead: return row.read;
        case RouteClass::kSend: return row.send;
        case RouteClass::kWrite: return row.write;
        case RouteClass::kAdmin: return row.admin;
        case RouteClass::kPublic: return true;
    }
    return false;
}

bool ManagesMembers(Role role) { return RowOf(role).members; }

}  // namespace opensend::model
