#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "kernel/runtime/config.h"

namespace opensend::cli {

/// Exit codes of CLI-02.
enum ExitCode {
    kSuccess = 0,
    kFailure = 1,
    kUsage = 2,
    kFoundProblems = 3,
    kPrecondition = 4,
    kServiceUnavailable = 69,
    kInternal = 70,
    kPermission = 77,
    kConfigRefused = 78,
};

/// Flags that every command takes.
struct Global {
    std::string config_file;
    std::vector<std::string> set;
    bool json = false;
};

/// What a command family adds: its subcommands, each storing what to run.
using Run = std::function<int()>;
void AddServerCommands(
    CLI::App& app, Global& global, Run& run
);  // serve migrate init config version secrets doc
void AddKeyCommands(CLI::App& app, Global& global, Run& run);     // keys
void AddOrgCommands(CLI::App& app, Global& global, Run& run);     // orgs
void AddLimitCommands(CLI::App& app, Global& global, Run& run);   // limits, of orgs and keys
void AddUserCommands(CLI::App& app, Global& global, Run& run);    // users members
void AddAuditCommands(CLI::App& app, Global& global, Run& run);   // audit
void AddDomainCommands(CLI::App& app, Global& global, Run& run);  // domains
void AddPluginCommands(CLI::App& app, Global& global, Run& run);  // plugins
void AddMailCommands(CLI::App& app, Global& global, Run& run);    // send explain health

/// The configuration for `roles`, without a word about its problems.
base::Result<runtime::Config, std::vector<runtime::ConfigProblem>> ReadConfig(
    const Global& global,
    const std::vector<std::string>& roles,
    const std::map<std::string, std::string>& more = {}
);

/// Loads the configuration for `roles` (empty: a tool). On problems prints the one startup error
/// and returns nullopt. `more` is added to the environment.
std::optional<runtime::Config> LoadConfig(
    const Global& global,
    const std::vector<std::string>& roles,
    const std::map<std::string, std::string>& more = {}
);

}  // namespace opensend::cli
