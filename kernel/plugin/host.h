#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/secret.h"
#include "kernel/egress/client.h"
#include "kernel/egress/guard.h"
#include "kernel/model/authenticator.h"
#include "kernel/model/breaker.h"
#include "kernel/model/kv_store.h"
#include "kernel/model/rate_limiter.h"
#include "kernel/model/transport.h"
#include "kernel/plugin/grants.h"
#include "kernel/plugin/load/policy.h"
#include "kernel/plugin/worker/health.h"

namespace opensend::plugin {

class AnswerBoard;

/// Value of a secret reference; nullopt: unknown.
using SecretSource = std::function<std::optional<base::Secret>(std::string_view ref)>;

/// One entry of plugins.enabled.
struct PluginConfig {
    std::string name;
    std::string file;    // below dir; empty: <name>.so
    std::string sha256;  // pinned; empty: not
    bool required = false;
    std::string config_json = "{}";  // plugins.<name>.config.*; secrets as {"$secret":"<ref>"}
    /// "inproc", "worker"; empty: transports, limiters and inbound of others in a worker, the rest
    /// in this process.
    std::string isolation{};
    /// plugins.<name>.grants.*; nullopt: a shipped plugin gets what its manifest asks for, another
    /// one nothing.
    std::optional<Grants> grants{};
    /// What is wrong with the block itself: then the plugin is not loaded.
    std::optional<Problem> refused{};
    /// plugins.<name>.grants.* as they were written; nullopt: not known.
    std::optional<std::map<std::string, std::string>> written_grants{};
    std::shared_ptr<const GatePolicy> policy{};  // null: a file is checked on its own
    uint64_t memory = 0;                         // of a worker process, in bytes; 0: the usual
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
    std::chrono::milliseconds limiter_timeout{50};  // a request waits for it
    /// Secrets of this configuration; empty: HostDeps::secret.
    SecretSource secret{};
    /// Program of the worker processes. Empty: beside this program, and without an isolation line
    /// everything runs in this process.
    std::string worker_path{};
    worker::Patience worker_patience{};
};

/// What the services of plugin instances are made of; everything outlives the Host.
struct HostDeps {
    const base::Clock* clock = nullptr;
    model::CredentialSource* credentials = nullptr;  // may be null: service not granted
    SecretSource secret;
    /// Structured log line of an instance; level 0 trace … 4 error.
    std::function<void(
        int level,
        const std::string& instance,
        std::string_view message,
        const std::vector<std::pair<std::string, std::string>>& fields
    )>
        log;
    model::KvStore* kv = nullptr;          // may be null: service not granted
    egress::Client* http = nullptr;        // may be null: service not granted
    const egress::Guard* guard = nullptr;  // refuses addresses that a granted name leads to
    egress::ResolveAll resolve{};
    /// Breakers that others look at too, under the names of the instances; null: the host's own.
    model::BreakerBoard* breakers = nullptr;
    /// The operator's rules on answers of transports; null: none.
    const AnswerBoard* answers = nullptr;
    /// What belongs into the audit log: event, instance, detail. May be empty.
    std::function<void(std::string_view event, const std::string&, std::string_view)> audit{};
};

/// What `plugins list` and /ready show of one plugin.
struct PluginStatus {
    std::string name, file, id, version;
    std::vector<std::string> kinds;
    bool up = false;
    bool apart = false;   // it runs in processes of its own
    std::string problem;  // one line: plugin, step, expected, found; empty when up
    uint64_t calls = 0, errors = 0, late = 0;
};

/// The process of an instance that runs apart, and those before it.
struct WorkerStatus {
    std::vector<int> pids;  // one, or none, or two while one takes over
    uint64_t memory = 0;    // resident, in bytes
    uint64_t starts = 0, deaths = 0;
    uint64_t not_tried = 0, indeterminate = 0;  // calls that a death answered
    std::string last_death;                     // "killed by SIGSEGV"; empty: none has died
    std::chrono::milliseconds rests{0};         // until the next try; 0: it does not rest
};

/// One instance as it is now.
struct InstanceStatus {
    std::string name, plugin, kind;  // "transport.primary", "smtp", "opensend.transport/1:smtp"
    std::string version, isolation;
    std::string state;  // "running", "off", "draining", "quarantined", "violation"
    std::string why;    // empty while it runs
    std::vector<std::string> grants;
    std::string breaker;      // "closed", "open", "half_open"
    uint64_t generation = 0;  // how many instances have had this name
    uint64_t calls = 0, errors = 0, late = 0, twice = 0, unknown = 0;
    uint64_t slow = 0, lost = 0, violations = 0;
    uint64_t timed = 0, time_us = 0;                      // calls whose time was taken, their sum
    std::vector<std::pair<int64_t, uint64_t>> latency{};  // up to so many µs (-1: more), how many
    std::optional<WorkerStatus> worker{};                 // nullopt: it runs in the server
};

/// What a reload did with one plugin.
struct ReloadLine {
    std::string plugin;
    std::string result;   // "unchanged", "reconfigured", "replaced", "added", "removed", "kept"
    std::string problem;  // why the old one was kept; empty: it was not
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

    /// Null when no such transport is up; the reason is in transports(). The pointer holds for the
    /// life of the host, whatever instance serves behind it. One that was taken out of service is
    /// still found: its breaker is open.
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
    std::vector<InstanceStatus> instances() const;
    /// Brings the process's metrics up to date with the above.
    void PublishMetrics() const;

    /// Moves to another configuration while everything runs: per plugin wholly or not at all. An
    /// instance whose block did not change stays; a changed one is reconfigured, or a new one is
    /// made, started and probed beside it, takes over, and the old one drains. Other values of
    /// auth.backends and ratelimit.backend need a restart and are reported. One at a time.
    std::vector<ReloadLine> Reload(HostConfig next);
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
