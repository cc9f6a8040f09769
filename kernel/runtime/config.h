#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/result.h"
#include "kernel/base/secret.h"

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
    const std::vector<std::string>& warnings() const { return warnings_; }
    /// CFG-07: "key = value" lines, secrets as "set (32 bytes, kid 4548769f)" or "unset".
    std::string Show() const;

private:
    friend class ConfigLoader;
    Config() = default;
    bool strict_ = false;
    std::map<std::string, std::string, std::less<>> values_;
    std::map<std::string, std::string, std::less<>> secrets_;
    std::vector<std::string> warnings_;
};

/// The text of CFG-20, ending in a newline, and the JSON line of CFG-21.
std::string FormatProblems(const std::vector<ConfigProblem>& problems);
std::string ProblemsAsJson(const std::vector<ConfigProblem>& problems);

}  // namespace opensend::runtime
