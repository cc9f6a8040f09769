#include <filesystem>
#include <fstream>
#include <iostream>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/cli/plugins/plugin_tools.h"
#include "kernel/plugin/check/check.h"

namespace opensend::cli {
namespace {

namespace checks = plugin_check;

/// Exit statuses of the checker, which scripts of authors rely on.
enum CheckExit { kGood = 0, kDefects = 1, kCouldNotRun = 2 };

struct CheckFlags {
    std::string file, junit, config_file;
    checks::Options options;
    bool why = false, list = false, all = false;
};

int ListChecks(bool json, bool all) {
    if (all && !json) {
        std::cout << checks::CatalogueText();
        return kGood;
    }
    if (!json) {
        for (const auto& entry : checks::Catalogue())
            std::cout << entry.id << "  " << entry.sentence << '\n';
        return kGood;
    }
    std::cout << checks::CatalogueJson() << '\n';
    return kGood;
}

int RunPluginChecks(const Global& global, CheckFlags& flags) {
    if (flags.list) return ListChecks(global.json, flags.all);
    try {
        if (!flags.config_file.empty()) flags.options.config = ReadSmallFile(flags.config_file);
    } catch (const base::Error& error) {
        std::cerr << "opensend: " << error.what() << '\n';
        return kCouldNotRun;
    }
    const checks::Report report = checks::RunChecks(flags.file, flags.options);
    if (global.json) {
        std::cout << checks::ReportJson(report) << '\n';
    } else if (report.problem.empty()) {
        std::cout << checks::ReportText(report, flags.all);
    } else {
        std::cerr << checks::ReportText(report, flags.all);
    }
    if (!flags.junit.empty()) {
        std::ofstream out(flags.junit);
        out << checks::ReportJunit(report);
        out.close();
        if (!out) {
            std::cerr << "opensend: " << flags.junit << ": could not be written\n";
            return kCouldNotRun;
        }
    }
    if (!report.problem.empty() || report.lines.empty()) return kCouldNotRun;
    return report.ok() ? kGood : kDefects;
}

}  // namespace

void AddPluginCheckCommand(CLI::App& plugins, Global& global, Run& run, const ShowGate& show_gate) {
    static CheckFlags flags;
    auto* check = plugins.add_subcommand(
        "check", "Run a plugin file through every check of the contract; runs its code"
    );
    check->add_option("file", flags.file, "A shared object; with --why also a plugin's name");
    check->add_flag("--why", flags.why, "Show the steps of the server's gate and run nothing");
    check->add_flag("--list", flags.list, "Show what is checked; with --all as a table with hints");
    check->add_flag("--all", flags.all, "Show what passed and what does not apply, too");
    check->add_option("--only", flags.options.only, "Only ids that begin so; repeatable");
    check->add_option("--skip", flags.options.skip, "No ids that begin so; repeatable");
    check->add_option("--kind", flags.options.kind, "Only the kind of that name");
    check->add_option("--seed", flags.options.seed, "Of everything that is random");
    check->add_option(
        "--config", flags.config_file, "JSON configuration for every kind of the plugin"
    );
    check->add_option("--junit", flags.junit, "Write a JUnit file as well");
    check->add_option("--limit-ms", flags.options.limit_ms, "How long one check may take")
        ->check(CLI::Range(100, 600'000));
    check->add_flag("--in-process", flags.options.in_process, "No child processes: for a debugger");
    check->callback([&] {
        if (flags.file.empty() && !flags.list) throw CLI::RequiredError("file");
        run = [&] {
            return flags.why ? show_gate(flags.file, flags.config_file)
                             : RunPluginChecks(global, flags);
        };
    });
}

}  // namespace opensend::cli
