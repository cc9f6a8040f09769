#include "kernel/model/permission.h"

namespace opensend::model {
namespace {

struct PermissionRow {
    KeyPermission permission;
    std::string_view name;
    bool read, send, write, admin;
};
constexpr PermissionRow kPermissions[] = {
    {KeyPermission::kFullAccess,    "full_access",    true,  true,  true,  true },
    {KeyPermission::kSendingAccess, "sending_access", false, true,  false, false},
    {KeyPermission::kReadAccess,    "read_access",    true,  false, false, false},
};

const PermissionRow& Row(KeyPermission permission) {
    for (const auto& row : kPermissions) {
        if (row.permission == permission) return row;
    }
    return kPermissions[1];
}

}  // namespace

std::string_view ToText(KeyPermission permission) { return Row(permission).name; }

std::optional<KeyPermission> ParseKeyPermission(std::string_view text) {
    for (const auto& row : kPermissions) {
        if (row.name == text) return row.permission;
    }
    return std::nullopt;
}

bool Allows(KeyPermission permission, RouteClass route) {
    const PermissionRow& row = Row(permission);
    switch (route) {
        case RouteClass::kRead: return row.read;
        case RouteClass::kSend: return row.send;
        case RouteClass::kWrite: return row.write;
        case RouteClass::kAdmin: return row.admin;
        case RouteClass::kPublic: return true;
    }
    return false;
}

}  // namespace opensend::model
