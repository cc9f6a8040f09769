#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.h"

namespace opensend::runtime {

/// CFG-24: a value that documentation or an example file shows.
bool IsPlaceholder(std::string_view value);
/// CFG-25: all characters equal, fewer than 8 different ones, or one short text repeated.
bool IsWeak(std::string_view value);

/// Reads a secret of at most 64 KiB, without the newline at its end. The failure is
/// "<path>: <reason>". `private_only` refuses a file that every user can read, `owner_only` one
/// that anybody but its owner can.
base::Result<std::string, std::string> ReadSecretFile(
    const std::string& path, bool private_only, bool owner_only = false
);
/// The path of `secret:<name>`; nullopt when the name leaves the folder.
std::optional<std::string> NamedSecretPath(std::string_view dir, std::string_view name);

/// The last part of a plugin's key says that its value is a secret: "password", "api_key", …
bool IsSecretName(std::string_view key);

/// What roles do with a variable (platform.md 2.4); letters for api, ingester, worker, scheduler,
/// smtp, migrate: R required, o read, - not read.
struct RoleRow {
    std::string_view key, marks;
};
const std::vector<RoleRow>& RoleMatrix();
const std::vector<std::string>& AllRoles();

}  // namespace opensend::runtime
