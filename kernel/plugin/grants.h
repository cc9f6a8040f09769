#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/plugin/load/problem.h"

namespace opensend::plugin {

/// What an operator gives a plugin, or what its manifest asks for. Without a grant a service is
/// absent and a call is refused (D13).
struct Grants {
    std::vector<std::string> http;     // "https://api.acme.example:443": scheme, host, port
    std::vector<std::string> secrets;  // names below secrets.dir, "acme/*", or "*"
    uint64_t kv_bytes = 0;             // durable values of one instance
    bool timers = false;
    int threads = 0;
    std::vector<std::string> changes;  // "envelope", "headers", "body": what it may alter in a hook

    bool operator==(const Grants&) const = default;
    /// "http=…", "kv=1048576", …: for lists.
    std::vector<std::string> Lines() const;
    /// True when a pattern of `secrets` covers the name.
    bool CoversSecret(std::string_view name) const;
    bool Allows(std::string_view change) const;
};

/// The member "grants" of a manifest; none asks for nothing.
Checked<Grants> ParseGrants(std::string_view manifest_json);
/// plugins.<name>.grants.* with the prefix removed. Lists are separated by commas.
Checked<Grants> ParseGrants(const std::map<std::string, std::string>& settings);

}  // namespace opensend::plugin
