#include <filesystem>
#include <iostream>
#include <memory>
#include <utility>

#include "kernel/app/plugin_report.h"
#include "kernel/app/wiring.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/cli/commands.h"
#include "kernel/cli/plugins/plugin_new.h"
#include "kernel/cli/plugins/plugin_tools.h"
#include "kernel/json/value.h"
#include "kernel/listeners/control/control_socket.h"
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

/// What the plugins would be in a server with this configuration.
std::string LoadedHere(const runtime::Config& config) {
    base::SystemClock clock;
    plugin::HostDeps deps;
    deps.clock = &clock;
    NoCredentials credentials;
    deps.credentials = &credentials;
    deps.secret = [&](std::string_view reference) { return config.ResolveSecret(reference); };
    deps.log = [](int, const std::string&, std::string_view, const auto&) {};
    const plugin::Host host(app::PluginHostConfig(config), deps);
    return app::PluginsJson(host);
}

std::string TextOf(const json::Value& object, std::string_view name) {
    const json::Value value = object.Find(name);
    if (value.IsInt()) return base::Cat(value.AsInt());
    return value.IsString() ? std::string(value.AsString()) : std::string();
}

std::string JoinedOf(const json::Value& object, std::string_view name) {
    const json::Value list = object.Find(name);
    std::vector<std::string> parts;
    for (size_t i = 0; list.IsArray() && i < list.size(); ++i)
        parts.emplace_back(list.At(i).AsString());
    return base::Join(parts, " ");
}

/// "pid 4711  memory 12 MiB  deaths 2 (killed by SIGSEGV)  rests 3 s".
void PrintWorker(const json::Value& worker) {
    const json::Value pids = worker.Find("pids");
    std::cout << "      worker";
    if (pids.size() == 0) std::cout << "  no process";
    for (size_t i = 0; i < pids.size(); ++i) std::cout << "  pid " << pids.At(i).AsInt();
    std::cout << "  memory " << worker.Find("memory").AsInt() / (1 << 20) << " MiB  starts "
              << TextOf(worker, "starts") << "  deaths " << TextOf(worker, "deaths");
    if (const std::string why = TextOf(worker, "last_death"); !why.empty())
        std::cout << " (" << why << ')';
    if (const int64_t rests = worker.Find("rests_ms").AsInt(); rests > 0)
        std::cout << "  rests " << (rests + 999) / 1000 << " s";
    std::cout << '\n';
}

void PrintInstance(const json::Value& one) {
    const json::Value latency = one.Find("latency");
    const int64_t count = latency.Find("count").AsInt();
    const int64_t mean_us = count == 0 ? 0 : latency.Find("sum_us").AsInt() / count;
    std::cout << TextOf(one, "state") << "  " << TextOf(one, "name") << "  "
              << TextOf(one, "plugin") << ' ' << TextOf(one, "version") << ' '
              << TextOf(one, "isolation") << "  breaker " << TextOf(one, "breaker");
    for (const char* name : {"calls", "errors", "late", "double"})
        std::cout << "  " << name << ' ' << TextOf(one, name);
    std::cout << "  mean " << mean_us << " us";
    if (const std::string grants = JoinedOf(one, "grants"); !grants.empty())
        std::cout << "  grants " << grants;
    std::cout << '\n';
    if (const std::string why = TextOf(one, "why"); !why.empty())
        std::cout << "      " << why << '\n';
    if (const json::Value worker = one.Find("worker"); worker.IsObject()) PrintWorker(worker);
}

int ListPlugins(const Global& global) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    auto text = control::Ask(config->Text("app.data_dir"), "plugins.list");
    if (!text) text = LoadedHere(*config);
    const auto document = json::Document::Parse(*text);
    if (!document.ok())
        throw base::Error(base::ErrorCode::kInternal, "the server's answer cannot be read");
    if (global.json) std::cout << *text << '\n';
    bool all_up = true;
    const json::Value plugins = document->root().Find("plugins");
    for (size_t i = 0; i < plugins.size(); ++i) {
        const json::Value one = plugins.At(i);
        const bool up = one.Find("up").AsBool();
        all_up = all_up && up;
        if (global.json) continue;
        std::cout << (up ? "up    " : "off   ") << TextOf(one, "name") << "  " << TextOf(one, "id")
                  << ' ' << TextOf(one, "version") << "  " << JoinedOf(one, "kinds") << '\n';
        if (const std::string problem = TextOf(one, "problem"); !problem.empty())
            std::cout << "      " << problem << '\n';
    }
    const json::Value instances = document->root().Find("instances");
    for (size_t i = 0; !global.json && i < instances.size(); ++i) PrintInstance(instances.At(i));
    return all_up ? kSuccess : kFoundProblems;
}

int ReloadPlugins(const Global& global) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const auto text = control::Ask(config->Text("app.data_dir"), "plugins.reload");
    if (!text) throw base::Unavailable("no_server", "no server runs with this data folder");
    const auto document = json::Document::Parse(*text);
    if (!document.ok())
        throw base::Error(base::ErrorCode::kInternal, "the server's answer cannot be read");
    const json::Value root = document->root();
    const json::Value lines = root.Find("plugins"), problems = root.Find("problems");
    if (global.json) {
        std::cout << *text << '\n';
    } else {
        for (size_t i = 0; i < lines.size(); ++i)
            std::cout << TextOf(lines.At(i), "result") << "  " << TextOf(lines.At(i), "name")
                      << '\n';
        for (size_t i = 0; i < problems.size(); ++i) std::cerr << problems.At(i).AsString() << '\n';
    }
    return root.Find("ok").IsBool() && root.Find("ok").AsBool() ? kSuccess : kFoundProblems;
}

/// Takes a file, or a plugin of the configuration, through the gate and shows each step.
int ShowSteps(Global global, const std::string& target, const std::string& config_file) {
    if (!config_file.empty()) global.config_file = config_file;
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
    auto* plugins = app.add_subcommand("plugins", "Plugins");
    plugins->require_subcommand(1);
    plugins->add_subcommand("list", "What is enabled and whether it is up")->callback([&] {
        run = [&] { return ListPlugins(global); };
    });
    plugins
        ->add_subcommand("reload", "Have the running server read its configuration and files again")
        ->callback([&] { run = [&] { return ReloadPlugins(global); }; });
    static const ShowGate show_gate = [&](const std::string& target, const std::string& config) {
        return ShowSteps(global, target, config);
    };
    AddPluginCheckCommand(*plugins, global, run, show_gate);
    AddPluginRunCommands(*plugins, global, run);
    AddPluginFileCommands(*plugins, global, run);
    AddPluginKeyCommands(*plugins, global, run);
    AddPluginNewCommand(*plugins, run);
    // The server starts itself so to load a file for the first time; see kernel/plugin/scan.
    plugins->add_subcommand("scan-worker", "")->group("")->callback([&] {
        run = []() -> int { plugin::ScanMain(); };
    });
}

}  // namespace opensend::cli
