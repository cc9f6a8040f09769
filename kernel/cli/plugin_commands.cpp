#include <filesystem>
#include <iostream>
#include <memory>
#include <utility>

#include "kernel/app/wiring.h"
#include "kernel/base/text.h"
#include "kernel/cli/commands.h"
#include "kernel/cli/plugin_tools.h"
#include "kernel/plugin/host.h"
#include "kernel/plugin/registry.h"
#include "kernel/plugin/scan/scan.h"

namespace opensend::cli {
namespace {

/// Lets auth plugins start; nobody asks it anything here.
class NoCredentials final : public model::CredentialSource {
public:
    std::optional<model::StoredCredential> FindCredential(std::string_view) override { return {}; }
    std::optional<std::string> PepperMac(uint32_t, std::string_view) override { return {}; }
    uint32_t active_pepper() const override { return 0; }
};

int ListPlugins(const Global& global) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    base::SystemClock clock;
    plugin::HostDeps deps;
    deps.clock = &clock;
    NoCredentials credentials;
    deps.credentials = &credentials;
    deps.secret = [&](std::string_view reference) { return config->ResolveSecret(reference); };
    deps.log = [](int, const std::string&, std::string_view, const auto&) {};
    const plugin::Host host(app::PluginHostConfig(*config), deps);
    bool all_up = true;
    for (const auto& status : host.plugins()) {
        all_up = all_up && status.up;
        std::cout << (status.up ? "up    " : "off   ") << status.name << "  " << status.id << ' '
                  << status.version << "  " << base::Join(status.kinds, " ") << '\n';
        if (!status.problem.empty()) std::cout << "      " << status.problem << '\n';
    }
    for (const auto& transport : host.transports()) {
        std::cout << (transport.up ? "up    " : "off   ") << "transport." << transport.name << "  "
                  << transport.kind << '\n';
        if (!transport.problem.empty()) std::cout << "      " << transport.problem << '\n';
    }
    return all_up ? kSuccess : kFoundProblems;
}

int CheckPlugin(const std::string& file) {
    const plugin::InspectReport report = plugin::Inspect(file);
    for (const std::string& finding : report.findings) std::cout << finding << '\n';
    if (!report.manifest_json.empty()) std::cout << report.manifest_json << '\n';
    std::cout << (report.ok ? "good" : "refused") << '\n';
    return report.ok ? kSuccess : kFoundProblems;
}

/// Takes a file, or a plugin of the configuration, through the gate and shows each step.
int ShowSteps(const Global& global, const std::string& target) {
    plugin::GateRequest request;
    request.name = target;
    request.path = target;
    if (target.find('/') == std::string::npos && !std::filesystem::exists(target)) {
        const auto config = LoadConfig(global, {});
        if (!config) return kConfigRefused;
        const auto host = app::PluginHostConfig(*config);
        request.enabled = false;
        request.path = base::Cat(host.dir, "/", target, ".so");
        request.policy = app::PluginPolicy(*config);
        for (const auto& plugin : host.plugins) {
            if (plugin.name == target) request = plugin::GateRequestOf(host.dir, plugin);
        }
    } else {
        plugin::GatePolicy policy;
        policy.scan_program = {"/proc/self/exe", "plugins", "scan-worker"};
        request.policy = std::make_shared<const plugin::GatePolicy>(std::move(policy));
    }
    const auto steps = plugin::RunGate(request);
    PrintSteps(steps, global.json);
    return AllPassed(steps) ? kSuccess : kFoundProblems;
}

}  // namespace

void AddPluginCommands(CLI::App& app, Global& global, Run& run) {
    static std::string file;
    static bool why = false;
    auto* plugins = app.add_subcommand("plugins", "Plugins");
    plugins->require_subcommand(1);
    plugins->add_subcommand("list", "What is enabled and whether it is up")->callback([&] {
        run = [&] { return ListPlugins(global); };
    });
    auto* check = plugins->add_subcommand("check", "Inspect a file without running it");
    check->add_option("file", file, "A shared object")->required();
    check->add_flag("--why", why, "Show every step of the gate; takes a plugin's name, too");
    check->callback([&] { run = [&] { return why ? ShowSteps(global, file) : CheckPlugin(file); }; }
    );
    AddPluginFileCommands(*plugins, global, run);
    AddPluginKeyCommands(*plugins, global, run);
    // The server starts itself so to load a file for the first time; see kernel/plugin/scan.
    plugins->add_subcommand("scan-worker", "")->group("")->callback([&] {
        run = []() -> int { plugin::ScanMain(); };
    });
}

}  // namespace opensend::cli
