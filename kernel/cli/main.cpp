#include <cstdio>
#include <iostream>
#include <optional>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/cli/commands.h"
#include "kernel/crypto/keyring.h"

namespace opensend::cli {
namespace {

int ExitCodeOf(const base::Error& error) {
    switch (error.code()) {
        case base::ErrorCode::kUnavailable: return kServiceUnavailable;
        case base::ErrorCode::kUnauthorized: return kConfigRefused;
        case base::ErrorCode::kForbidden: return kConfigRefused;
        case base::ErrorCode::kConflict:
            return error.reason() == "migrations_pending" || error.reason() == "schema_too_new"
                       ? kConfigRefused
                       : kPrecondition;
        case base::ErrorCode::kInternal: return kInternal;
        default: return kFailure;
    }
}

}  // namespace

base::Result<runtime::Config, std::vector<runtime::ConfigProblem>> ReadConfig(
    const Global& global,
    const std::vector<std::string>& roles,
    const std::map<std::string, std::string>& more
) {
    runtime::ConfigSources sources;
    if (!global.config_file.empty()) sources.file = global.config_file;
    sources.set = global.set;
    sources.environment = runtime::ReadEnvironment();
    sources.environment.insert(more.begin(), more.end());
    sources.roles = roles;
    sources.kid = [](const base::Secret& text) {
        const auto ring = crypto::Keyring::Make(text, {});
        return ring.ok() ? ring->writing_kid() : std::string();
    };
    return runtime::Config::Load(sources);
}

std::optional<runtime::Config> LoadConfig(
    const Global& global,
    const std::vector<std::string>& roles,
    const std::map<std::string, std::string>& more
) {
    auto loaded = ReadConfig(global, roles, more);
    if (loaded.ok()) return std::move(*loaded);
    std::fputs(runtime::FormatProblems(loaded.error()).c_str(), stderr);
    if (!roles.empty()) std::puts(runtime::ProblemsAsJson(loaded.error()).c_str());
    return std::nullopt;
}

int Main(int argc, char** argv) {
    CLI::App app{"OpenSend: a self-hosted email platform", "opensend"};
    app.require_subcommand(1);
    app.fallthrough();
    Global global;
    app.add_option("--config", global.config_file, "Path of opensend.properties");
    app.add_option("--set", global.set, "key=value, over file and environment; repeatable");
    app.add_flag("--json", global.json, "Print JSON");
    Run run;
    AddServerCommands(app, global, run);
    AddKeyCommands(app, global, run);
    AddOrgCommands(app, global, run);
    AddLimitCommands(app, global, run);
    AddUserCommands(app, global, run);
    AddAuditCommands(app, global, run);
    AddDomainCommands(app, global, run);
    AddPluginCommands(app, global, run);
    AddMailCommands(app, global, run);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error);
        return code == 0 ? kSuccess : kUsage;
    }
    try {
        return run();
    } catch (const base::Error& error) {
        std::cerr << "opensend: " << error.what() << '\n';
        return ExitCodeOf(error);
    } catch (const std::exception& error) {
        std::cerr << "opensend: " << error.what() << '\n';
        return kInternal;
    }
}

}  // namespace opensend::cli

int main(int argc, char** argv) { return opensend::cli::Main(argc, argv); }
