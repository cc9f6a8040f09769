#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/result.h"
#include "kernel/base/secret.h"
#include "kernel/runtime/transports.h"

namespace opensend::runtime {

/// One line of the startup error (platform.md 2.3): name, code ("missing", "placeholder", …), text.
struct ConfigProblem {
    std::string name, code, text;
};

/// Where values come from; tests fill it by hand.
struct ConfigSources {
    std::optional<std::string> file;                 // --config; default search path when absent
    std::vector<std::string> set;                    // --set key=value
    std::map<std::string, std::string> environment;  // see ReadEnvironment
    std::vector<std::string> roles;  // of this process: "api", "worker", …; empty: a tool
    bool may_write = true;           // false: no data folder and no dev-secrets.env are made
    std::vector<std::string> rate_limit_kinds;  // of enabled plugins, beside memory and redis
    /// Key id of a master key text, for Show() and the check of two keys with one id.
    std::function<std::string(const base::Secret&)> kid;
    /// What is wrong with a certificate file and its key file; "": nothing.
    std::function<std::string(const std::string& cert, const std::string& key)> check_tls;
};
std::map<std::string, std::string> ReadEnvironment();

/// The effective, validated configuration. Immutable. Asking for a key that is not in the table of
/// settings, or for the wrong type, is a broken invariant.
class Config {
public:
    /// All problems at once. In evaluation mode missing server secrets are generated once into
    /// <data_dir>/dev-secrets.env (CFG-13).
    static base::Result<Config, std::vector<ConfigProblem>> Load(const ConfigSources& sources);

    bool strict() const { return strict_; }
    std::string Text(std::string_view key) const;  // "" when unset
    int64_t Int(std::string_view key) const;
    bool Bool(std::string_view key) const;
    base::Duration Span(std::string_view key) const;
    std::vector<std::string> List(std::string_view key) const;
    bool IsSet(std::string_view key) const;
    /// Keys below a prefix with the prefix removed: Below("plugins.smtp.config.").
    std::map<std::string, std::string> Below(std::string_view prefix) const;
    /// By the variable's name: "WEBHOOK_SECRET_ENCRYPTION_KEY", "DATABASE_URL", …; nullopt when
    /// unset.
    std::optional<base::Secret> SecretValue(std::string_view variable) const;
    /// Resolves "file:<path>" and "secret:<name>" references of plugin configuration, and the
    /// references that the kernel makes for passwords inside transport URLs.
    std::optional<base::Secret> ResolveSecret(std::string_view reference) const;
    /// OPENSEND_TRANSPORT_URL as "default" first, then transport.names in order.
    std::vector<TransportSpec> Transports() const;
    /// "default" first; without members it has every transport with equal weight.
    std::vector<GroupSpec> Groups() const;
    /// plugins.<name>.config.* as a JSON object in the form of TransportSpec::config_json.
    std::string PluginConfigJson(std::string_view name) const;
    /// A known bucket of platform.md 12.3; another name is a broken invariant.
    BucketNumbers RateBucket(std::string_view name) const;
    const std::vector<std::string>& warnings() const { return warnings_; }
    /// CFG-07: "key = value" lines, secrets as "set (32 bytes, kid 4548769f)" or "unset".
    std::string Show() const;

private:
    friend class ConfigLoader;
    Config() = default;
    using Secrets = std::map<std::string, base::Secret, std::less<>>;

    std::string ConfigJson(
        std::map<std::string, std::string> plain,
        std::map<std::string, std::string> references,
        const std::string& prefix
    ) const;

    bool strict_ = false;
    std::map<std::string, std::string, std::less<>> values_;  // by key; what was given or derived
    std::shared_ptr<const Secrets> secrets_;                  // by key
    std::vector<std::string> warnings_;
    std::function<std::string(const base::Secret&)> kid_;
};

/// The text of CFG-20, ending in a newline, and the JSON line of CFG-21.
std::string FormatProblems(const std::vector<ConfigProblem>& problems);
std::string ProblemsAsJson(const std::vector<ConfigProblem>& problems);

}  // namespace opensend::runtime
