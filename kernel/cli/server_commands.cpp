#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <set>

#include "kernel/app/app.h"
#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/scope_exit.h"
#include "kernel/base/text.h"
#include "kernel/cli/commands.h"
#include "kernel/cli/version.h"
#include "kernel/db/migrator.h"
#include "kernel/runtime/lifecycle.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"
#include "kernel/runtime/settings.h"

namespace opensend::cli {
namespace {

constexpr std::string_view kRoles[] = {"api", "ingester", "worker", "scheduler", "smtp"};
constexpr std::string_view kServerSecrets[] = {
    "BETTER_AUTH_SECRET", "WEBHOOK_SECRET_ENCRYPTION_KEY", "INGESTER_JOB_TOKEN",
    "INGESTER_INBOUND_TOKEN"};

/// The roles of `--roles`, or all; nullopt after an error line for an unknown one.
std::optional<std::set<std::string>> ParseRoles(const std::string& text) {
    std::set<std::string> roles;
    for (const std::string& role : base::SplitList(text)) {
        if (role == "all") {
            for (const auto known : kRoles) roles.emplace(known);
        } else if (std::find(std::begin(kRoles), std::end(kRoles), role) != std::end(kRoles)) {
            roles.insert(role);
        } else {
            std::cerr << "opensend: unknown role " << role << '\n';
            return std::nullopt;
        }
    }
    return roles;
}

runtime::LogOptions LogOptionsOf(
    const runtime::Config& config, const std::set<std::string>& roles
) {
    runtime::LogOptions options;
    const std::string level = config.Text("log.level");
    if (level == "debug") options.level = runtime::LogLevel::kDebug;
    if (level == "warn") options.level = runtime::LogLevel::kWarn;
    if (level == "error") options.level = runtime::LogLevel::kError;
    options.json = config.Text("log.format") != "text";
    options.role =
        roles.size() == std::size(kRoles) ? "all" : base::Join({roles.begin(), roles.end()}, ",");
    return options;
}

int Serve(const Global& global, const std::string& roles_text, bool migrate) {
    const auto roles = ParseRoles(roles_text);
    if (!roles) return kUsage;
    const auto config = LoadConfig(global, {roles->begin(), roles->end()});
    if (!config) return kConfigRefused;
    runtime::BlockSignals();
    runtime::ProtectMemory(config->Bool("process.core_dumps"));
    runtime::StartLog(LogOptionsOf(*config, *roles));
    const base::ScopeExit stop_log([] { runtime::StopLog(); });
    for (const std::string& warning : config->warnings()) {
        OPENSEND_LOG(kWarn, "startup.warning", warning);
    }
    app::App server(*config, *roles, migrate, [&] {
        return ReadConfig(global, {roles->begin(), roles->end()});
    });
    runtime::SetGauge("opensend_build_info", {kVersion, kCommit}, 1);
    runtime::SetGauge(
        "opensend_start_time_seconds", {},
        static_cast<double>(base::SystemClock().Now().us / 1'000'000)
    );
    OPENSEND_LOG(
        kInfo, "startup.ready", "ready", kv("api_port", static_cast<int64_t>(server.api_port())),
        kv("strict", config->strict())
    );
    runtime::NotifySystemd("READY=1");
    runtime::WaitForStop([&] { server.Reload(); });
    runtime::NotifySystemd("STOPPING=1");
    OPENSEND_LOG(kInfo, "shutdown.draining", "draining");
    server.Drain(std::chrono::duration_cast<std::chrono::milliseconds>(config->Span("drain.timeout")
    ));
    return kSuccess;
}

int Migrate(const runtime::Config& config, bool dry_run) {
    const auto pool = app::OpenDatabase(config);
    const db::MigrationStatus status = db::CheckMigrations(*pool);
    if (dry_run) {
        for (const std::string& name : status.pending) std::cout << "pending " << name << '\n';
        return status.pending.empty() ? kSuccess : kFoundProblems;
    }
    base::SystemClock clock;
    crypto::SystemRandom random;
    base::UuidSource ids(clock, random);
    const auto applied = app::MigrateDatabase(*pool, !config.strict(), ids, clock);
    for (const std::string& name : applied) std::cout << "applied " << name << '\n';
    if (applied.empty()) std::cout << "the database is up to date\n";
    return kSuccess;
}

/// Writes a new file with the given mode. Throws Conflict when it exists and `force` is off.
void WriteFile(const std::string& path, const std::string& text, mode_t mode, bool force) {
    const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL);
    const int fd = open(path.c_str(), flags, mode);
    if (fd < 0 && errno == EEXIST) {
        throw base::Conflict("file_exists", base::Cat(path, " exists; use --force to replace it"));
    }
    if (fd < 0)
        throw base::Error(base::ErrorCode::kUnauthorized, base::Cat(path, ": cannot be written"));
    const base::ScopeExit close_it([fd] { close(fd); });
    fchmod(fd, mode);
    if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        throw base::Error(
            base::ErrorCode::kInternal, base::Cat(path, ": could not be written whole")
        );
    }
}

std::string GenerateSecrets(bool with_database_password) {
    crypto::SystemRandom random;
    std::string out;
    for (const std::string_view name : kServerSecrets) {
        out += base::Cat(name, '=', base::HexEncode(random.String(32)), '\n');
    }
    if (with_database_password) {
        out += base::Cat("POSTGRES_PASSWORD=", base::HexEncode(random.String(32)), '\n');
    }
    return out;
}

int Init(Global global, const std::string& app_url, const std::string& output, bool force) {
    const std::filesystem::path file(output);
    const std::filesystem::path folder = file.parent_path();
    if (!folder.empty()) std::filesystem::create_directories(folder);
    const std::string env = (folder / ".env").string();
    if (!force && (std::filesystem::exists(file) || std::filesystem::exists(env))) {
        throw base::Conflict(
            "file_exists", base::Cat(output, " or ", env, " exists; use --force to replace them")
        );
    }
    WriteFile(output, runtime::PropertiesTemplate(app_url), 0644, force);
    const std::string secrets = GenerateSecrets(false);
    WriteFile(env, secrets, 0600, force);
    std::cout << "wrote " << output << " and " << env << '\n';
    global.config_file = output;
    std::map<std::string, std::string> made;
    for (const std::string_view line : base::Split(secrets, '\n')) {
        const size_t equals = line.find('=');
        if (equals != std::string_view::npos)
            made.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
    const auto config = LoadConfig(global, {}, made);
    if (!config) return kConfigRefused;
    return config->strict() ? kSuccess : Migrate(*config, false);
}

int Version(const Global& global) {
    if (global.json) {
        std::cout << VersionJson() << '\n';
    } else {
        std::cout << "opensend " << kVersion << " (" << kCommit << ")\n";
    }
    return kSuccess;
}

}  // namespace

void AddServerCommands(CLI::App& app, Global& global, Run& run) {
    auto* serve = app.add_subcommand("serve", "Run the server");
    static std::string roles = "all";
    static bool migrate = false;
    serve->add_option("--roles", roles, "api, ingester, worker, scheduler, smtp or all");
    serve->add_flag("--migrate", migrate, "Apply pending migrations first");
    serve->callback([&] { run = [&] { return Serve(global, roles, migrate); }; });

    auto* migrate_command = app.add_subcommand("migrate", "Bring the database to this version");
    static bool dry_run = false;
    migrate_command->add_flag("--dry-run", dry_run, "Only list what is pending");
    migrate_command->callback([&] {
        run = [&] {
            const auto config = LoadConfig(global, {});
            return config ? Migrate(*config, dry_run) : static_cast<int>(kConfigRefused);
        };
    });

    auto* init =
        app.add_subcommand("init", "Write a configuration, secrets and, locally, a database");
    static std::string app_url, output = "./etc/opensend.properties";
    static bool force = false;
    init->add_option("--app-url", app_url, "URL under which clients reach the server")->required();
    init->add_option("--output", output, "The file to write");
    init->add_flag("--force", force, "Replace existing files");
    init->callback([&] { run = [&] { return Init(global, app_url, output, force); }; });

    auto* config = app.add_subcommand("config", "Look at the configuration");
    config->require_subcommand(1);
    static std::string check_roles = "all";
    auto* check = config->add_subcommand("check", "Validate without starting");
    check->add_option("--roles", check_roles, "The roles to check for");
    check->callback([&] {
        run = [&] {
            const auto wanted = ParseRoles(check_roles);
            if (!wanted) return static_cast<int>(kUsage);
            if (!LoadConfig(global, {wanted->begin(), wanted->end()}))
                return static_cast<int>(kConfigRefused);
            std::cout << "the configuration is good\n";
            return static_cast<int>(kSuccess);
        };
    });
    config->add_subcommand("show", "Print what is in effect")->callback([&] {
        run = [&] {
            const auto loaded = LoadConfig(global, {});
            if (!loaded) return static_cast<int>(kConfigRefused);
            std::cout << loaded->Show();
            return static_cast<int>(kSuccess);
        };
    });

    app.add_subcommand("version", "Version, commit and build")->callback([&] {
        run = [&] { return Version(global); };
    });
    auto* secrets = app.add_subcommand("secrets", "Server secrets");
    secrets->require_subcommand(1);
    secrets->add_subcommand("generate", "Print new values")->callback([&] {
        run = [] {
            std::cout << GenerateSecrets(true);
            return static_cast<int>(kSuccess);
        };
    });
    static bool write_docs = false;
    auto* doc = app.add_subcommand("doc", "Print the reference tables");
    doc->add_flag("--write", write_docs, "Refresh etc/reference and etc/opensend.properties");
    doc->callback([&] {
        run = [] {
            if (write_docs) {
                std::filesystem::create_directories("etc/reference");
                WriteFile("etc/reference/settings.md", runtime::SettingsReference(), 0644, true);
                WriteFile(
                    "etc/opensend.properties", runtime::PropertiesTemplate("http://localhost:3015"),
                    0644, true
                );
            } else {
                std::cout << runtime::SettingsReference();
            }
            return static_cast<int>(kSuccess);
        };
    });
}

}  // namespace opensend::cli
