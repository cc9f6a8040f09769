#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/secret.h"
#include "kernel/model/authenticator.h"
#include "kernel/model/rate_limiter.h"
#include "kernel/model/transport.h"
#include "kernel/plugin/load/policy.h"

namespace opensend::plugin {

/// One entry of plugins.enabled.
struct PluginConfig {
    std::string name;
    std::string file;    // below dir; empty: <name>.so
    std::string sha256;  // pinned; empty: not
    bool required = false;
    std::string config_json = "{}";  // plugins.<name>.config.*; secrets as {"$secret":"<ref>"}
    /// plugins.<name>.grants.* as they were written; nullopt: not known.
    std::optional<std::map<std::string, std::string>> written_grants{};
    std::shared_ptr<const GatePolicy> policy{};  // null: a file is checked on its own
};

/// One transport.<n> block. `config_json` holds secrets as {"$secret":"<ref>"} only.
struct TransportConfig {
    std::string name;
    std::string kind;    // URL scheme, or empty
    std::string plugin;  // transport.<n>.plugin, or empty
    std::string config_json;
};

struct HostConfig {
    std::string dir;
    std::vector<PluginConfig> plugins;
    std::vector<TransportConfig> transports;
    std::vector<std::string> auth_backends;
    std::string ratelimit_backend;  // "memory", "redis", a plugin's; "disabled": none
    std::chrono::milliseconds call_timeout{30'000};
};

/// What the services of plugin instances are made of; everything outlives the Host.
struct HostDeps {
    const base::Clock* clock = nullptr;
    model::CredentialSource* credentials = nullptr;  // may be null: service not granted
    /// Value of a secret reference; nullopt: unknown.
    std::function<std::optional<base::Secret>(std::string_view ref)> secret;
    /// Structured log line of an instance; level 0 trace … 4 error.
    std::function<void(
        int level,
        const std::string& instance,
        std::string_view message,
        const std::vector<std::pair<std::string, std::string>>& fields
    )>
        log;
};

/// What `plugins list` and /ready show of one plugin.
struct PluginStatus {
    std::string name, file, id, version;
    std::vector<std::string> kinds;
    bool up = false;
    std::string problem;  // one line: plugin, step, expected, found; empty when up
    uint64_t calls = 0, errors = 0, late = 0;
};

/// A number an instance counts through the metric service.
struct PluginMetric {
    std::string instance, name, labels;  // labels as "key=value,key=value"
    int64_t value = 0;                   // counter, gauge, or how often a value was observed
    double sum = 0;                      // of the observed values
};

/// Loads what the configuration names and nothing else, makes the instances, owns their life
/// (plugin-sdk.md: load pipeline of scope "first", lifecycle, tokens, deadlines). A plugin that
/// fails is off and described; the host itself stays up.
class Host {
public:
    Host(HostConfig config, HostDeps deps);
    ~Host();  // drains, stops and destroys every instance

    /// Null when no such transport is up; the reason is in Transports().
    model::Transport* FindTransport(const std::string& name);
    /// Backends of auth.backends in order. Never null; answers kUnavailable when a backend is down.
    model::Authenticator& authenticator();
    /// The chosen backend; null with ratelimit_backend "disabled" or when it is not up.
    model::RateLimiter* limiter();
    /// The `memory` kind, for the protection buckets; null when memory_limit is not up.
    model::RateLimiter* local_limiter();

    std::vector<PluginStatus> plugins() const;
    struct TransportStatus {
        std::string name, kind, plugin;
        bool up = false;
        std::string problem;
    };
    std::vector<TransportStatus> transports() const;
    std::vector<PluginMetric> metrics() const;
    /// Problems of required plugins (auth, rate limit, `required = true`): non-empty refuses the
    /// start.
    std::vector<std::string> fatal_problems() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Reads and checks one file without running it: note, ABI, kinds, ELF basics. One line per
/// finding.
struct InspectReport {
    bool ok = false;
    std::string manifest_json;
    std::vector<std::string> findings;
};
InspectReport Inspect(const std::string& path);

}  // namespace opensend::plugin
