#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>

#include "kernel/app/wiring.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/cli/plugins/plugin_tools.h"
#include "kernel/json/writer.h"
#include "kernel/plugin/load/elf.h"
#include "kernel/plugin/load/requests.h"

namespace opensend::cli {
namespace {

namespace fs = std::filesystem;

struct FileFlags {
    std::string file, name;
    std::vector<std::string> files;
    bool write = false, force = false;
};

std::vector<plugin::GrantRequest> RequestsOf(const std::string& file, const PluginBytes& plugin) {
    auto requests = plugin::ReadGrantRequests(plugin.note.json);
    if (!requests.ok())
        throw base::Error(base::ErrorCode::kApplication, plugin::Describe(file, requests.error()));
    return std::move(*requests);
}

void PrintFacts(const plugin::ElfFacts& facts, json::Writer* json) {
    if (json != nullptr) {
        json->Field("libraries", facts.needed).Field("exports", facts.exports);
        json->Field("glibc", facts.glibc_versions);
        return;
    }
    std::cout << "libraries  " << base::Join(facts.needed, " ") << '\n'
              << "exports    " << base::Join(facts.exports, " ") << '\n';
}

void InspectAsJson(
    const std::string& file, const PluginBytes& plugin, const plugin::ElfFacts* facts
) {
    json::Writer out;
    out.BeginObject().Field("file", file).Field("sha256", plugin.sha256);
    out.Field("bytes", static_cast<int64_t>(plugin.bytes.size()));
    out.Field("signature_file", fs::exists(file + ".sig"));
    out.Key("grants").BeginObject();
    for (const auto& request : RequestsOf(file, plugin)) out.Field(request.name, request.value);
    out.EndObject();
    if (facts != nullptr) PrintFacts(*facts, &out);
    out.RawField("manifest", plugin.note.json).EndObject();
    std::cout << out.Take() << '\n';
}

int InspectFile(const Global& global, const std::string& file) {
    const PluginBytes plugin = ReadPluginBytes(file);
    const auto facts = plugin::ReadElf(plugin.bytes);
    const plugin::ElfFacts* known = facts.ok() ? &*facts : nullptr;
    if (global.json) {
        InspectAsJson(file, plugin, known);
        return kSuccess;
    }
    std::cout << plugin.manifest.id << ' ' << plugin.manifest.version << '\n'
              << "kinds      " << base::Join(plugin.manifest.kinds, " ") << '\n'
              << "host       1." << plugin.note.min_host_minor << " or later\n"
              << "size       " << plugin.bytes.size() << " bytes\n"
              << "sha256     " << plugin.sha256 << '\n'
              << "signature  " << (fs::exists(file + ".sig") ? file + ".sig" : "none") << '\n';
    if (known != nullptr) PrintFacts(*known, nullptr);
    const auto requests = RequestsOf(file, plugin);
    std::cout << (requests.empty() ? "asks for nothing\n" : "asks for\n");
    for (const auto& request : requests)
        std::cout << "  " << request.name << " = " << request.value << '\n';
    return kSuccess;
}

/// The file behind a name of the configuration.
std::string FileOfPlugin(const runtime::Config& config, const std::string& name) {
    const auto keys = config.Below(base::Cat("plugins.", name, '.'));
    const auto file = keys.find("file");
    const std::string known = file == keys.end() ? name + ".so" : file->second;
    return known.front() == '/' ? known : base::Cat(config.Text("plugins.dir"), "/", known);
}

int PinFiles(const Global& global, const FileFlags& flags) {
    SettingLines lines;
    std::optional<runtime::Config> config;
    for (const std::string& target : flags.files) {
        const bool is_file = target.find('/') != std::string::npos || fs::exists(target);
        if (!is_file && !config) config = LoadConfig(global, {});
        if (!is_file && !config) return kConfigRefused;
        const std::string path = is_file ? target : FileOfPlugin(*config, target);
        const std::string name = is_file ? PluginNameOf(target) : target;
        lines.emplace_back(base::Cat("plugins.", name, ".sha256"), ReadPluginBytes(path).sha256);
    }
    PrintSettings(lines);
    if (flags.write) WriteSettings(global, lines);
    return kSuccess;
}

/// The lines that enable the plugin, with everything that it asks for.
SettingLines BlockOf(
    const runtime::Config& config,
    const std::string& name,
    const std::string& file,
    const PluginBytes& plugin
) {
    auto enabled = config.List("plugins.enabled");
    if (std::find(enabled.begin(), enabled.end(), name) == enabled.end()) enabled.push_back(name);
    const std::string prefix = base::Cat("plugins.", name, '.');
    SettingLines lines = {
        {"plugins.enabled", base::Join(enabled, ", ")}
    };
    if (file != name + ".so") lines.emplace_back(prefix + "file", file);
    lines.emplace_back(prefix + "sha256", plugin.sha256);
    for (const auto& request : RequestsOf(file, plugin))
        lines.emplace_back(base::Cat(prefix, "grants.", request.name), request.value);
    return lines;
}

/// Copies the plugin under a passing name, sends it through the gate there and gives it its name.
/// False: refused, and nothing is left.
bool Install(
    const FileFlags& flags,
    const runtime::Config& config,
    const std::string& name,
    const PluginBytes& plugin
) {
    const fs::path dir = config.Text("plugins.dir");
    const fs::path target = dir / fs::path(flags.file).filename();
    const fs::path draft = dir / base::Cat(".", target.filename().string(), ".new");
    const bool is_signed = fs::exists(flags.file + ".sig");
    if (!flags.force && fs::exists(target))
        throw base::Error(
            base::ErrorCode::kApplication,
            base::Cat(target.string(), " exists already; --force replaces it")
        );
    WriteWholeFile(draft, plugin.bytes, 0644, true);
    if (is_signed)
        WriteWholeFile(draft.string() + ".sig", ReadSmallFile(flags.file + ".sig"), 0644, true);
    plugin::GateRequest request;
    request.name = name;
    request.path = draft;
    request.policy = app::PluginPolicy(config);
    const auto steps = plugin::RunGate(request);
    if (!AllPassed(steps)) {
        PrintSteps(steps, false);
        fs::remove(draft);
        fs::remove(draft.string() + ".sig");
        return false;
    }
    if (is_signed) fs::rename(draft.string() + ".sig", target.string() + ".sig");
    fs::rename(draft, target);
    std::cout << "# " << target.string() << ": " << plugin.manifest.id << ' '
              << plugin.manifest.version << '\n';
    return true;
}

int AddFile(const Global& global, const FileFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const PluginBytes plugin = ReadPluginBytes(flags.file);
    const std::string name = flags.name.empty() ? PluginNameOf(flags.file) : flags.name;
    if (!Install(flags, *config, name, plugin)) return kFoundProblems;
    const SettingLines lines = BlockOf(*config, name, fs::path(flags.file).filename(), plugin);
    PrintSettings(lines);
    if (flags.write) WriteSettings(global, lines);
    return kSuccess;
}

}  // namespace

void AddPluginFileCommands(CLI::App& plugins, Global& global, Run& run) {
    static FileFlags flags;
    auto* inspect = plugins.add_subcommand("inspect", "What a file is and what it asks for");
    inspect->add_option("file", flags.file, "A shared object")->required();
    inspect->callback([&] { run = [&] { return InspectFile(global, flags.file); }; });

    auto* pin = plugins.add_subcommand("pin", "The setting that allows only this content");
    pin->add_option("name", flags.files, "Names of plugins, or files")->required();
    pin->add_flag("--write", flags.write, "Write it into the configuration file");
    pin->callback([&] { run = [&] { return PinFiles(global, flags); }; });

    auto* add = plugins.add_subcommand("add", "Copy a plugin below plugins.dir and enable it");
    add->add_option("file", flags.file, "A shared object")->required();
    add->add_option("--name", flags.name, "Its name in the settings; that of the file without it");
    add->add_flag("--write", flags.write, "Write the settings into the configuration file");
    add->add_flag("--force", flags.force, "Replace a file of that name");
    add->callback([&] { run = [&] { return AddFile(global, flags); }; });
}

}  // namespace opensend::cli
