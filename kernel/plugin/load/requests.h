#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/plugin/load/note.h"

namespace opensend::plugin {

/// One grant that a manifest asks for, in the form of the setting that gives it.
struct GrantRequest {
    std::string name;   // "http", "secrets", "kv", "timers", "threads", …
    std::string value;  // "https://a.example:443, https://b.example:443", "1MiB", "true", "4"
};

/// What `grants` of the manifest asks for; a problem when it cannot be understood.
Checked<std::vector<GrantRequest>> ReadGrantRequests(std::string_view manifest_json);

/// The first request that `given` (plugins.<name>.grants.*) does not cover. A list covers its
/// elements, "*" everything and "x/*" what begins with "x/"; a number covers smaller ones.
std::optional<Problem> CompareGrants(
    const std::vector<GrantRequest>& requests,
    const std::map<std::string, std::string>& given,
    std::string_view plugin
);

/// True for the plugins that come with the server: they get what they ask for.
bool IsShipped(std::string_view name, std::string_view id);

/// An interface of this server, or an experimental one that `allowed` names.
bool IsKnownInterface(std::string_view iface, const std::vector<std::string>& allowed);

/// Schema of one kind in the manifest; "" when it has none there.
std::string SchemaOf(std::string_view manifest_json, std::string_view kind);
/// What is wrong with `config_schema` of the manifest.
std::optional<Problem> CheckSchemas(std::string_view manifest_json);

}  // namespace opensend::plugin
