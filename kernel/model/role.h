#pragma once

#include <optional>
#include <string_view>

#include "kernel/model/permission.h"

namespace opensend::model {

/// What a member may do in an organization (ORG-21), from the widest to the narrowest.
enum class Role { kOwner = 1, kAdmin, kMember, kViewer };

std::string_view ToText(Role role);
std::optional<Role> ParseRole(std::string_view text);

/// The table of platform.md 3.2 in the classes of the routes.
bool Allows(Role role, RouteClass route);
/// Invite, change and remove members and the organization's settings.
bool ManagesMembers(Role role);
/// Delete the organization, transfer its ownership.
inline bool OwnsOrganization(Role role) { return role == Role::kOwner; }
/// Nobody gives a role above the own one (ORG-22).
inline bool MayGive(Role giver, Role given) { return given >= giver; }

}  // namespace opensend::model
