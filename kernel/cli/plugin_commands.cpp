#include <iostream>

#include "kernel/app/wiring.h"
#include "kernel/base/text.h"
#include "kernel/cli/commands.h"
#include "kernel/plugin/host.h"

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

}  // namespace

void AddPluginCommands(CLI::App& app, Global& global, Run& run) {
    static std::string file;
    auto* plugins = app.add_subcommand("plugins", "Plugins");
    plugins->require_subcommand(1);
    plugins->add_subcommand("list", "What is enabled and whether it is up")->callback([&] {
        run = [&] { return ListPlugins(global); };
    });
    auto* check = plugins->add_subcommand("check", "Inspect a file without running it");
    check->add_option("file", file, "A shared object")->required();
    check->callback([&] { run = [&] { return CheckPlugin(file); }; });
}

}  // namespace opensend::cli
