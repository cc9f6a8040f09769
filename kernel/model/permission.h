#pragma once

#include <optional>
#include <string_view>

namespace opensend::model {

/// Scope classes of routes (REST 1.4).
enum class RouteClass { kRead = 1, kSend, kWrite, kAdmin, kPublic };

/// What an API key may do.
enum class KeyPermission { kFullAccess = 1, kSendingAccess, kReadAccess };

std::string_view ToText(KeyPermission permission);
std::optional<KeyPermission> ParseKeyPermission(std::string_view text);
/// The table of REST 1.4 for keys.
bool Allows(KeyPermission permission, RouteClass route);

}  // namespace opensend::model
