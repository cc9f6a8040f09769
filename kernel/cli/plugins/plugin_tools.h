#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/cli/commands.h"
#include "kernel/plugin/load/gate.h"

namespace opensend::cli {

/// A plugin file as its bytes say it is, whoever owns it and wherever it lies.
struct PluginBytes {
    std::string bytes, sha256;  // hexadecimal
    plugin::Note note;
    plugin::Manifest manifest;
};
/// Throws base::Error with the one line of the step that refuses it.
PluginBytes ReadPluginBytes(const std::string& path);

/// "acme.mail-2.so" → "acme_mail-2": what a plugin may be called in settings.
std::string PluginNameOf(const std::string& path);

/// Content of a file of at most 64 KB; throws base::Error when it cannot be read.
std::string ReadSmallFile(const std::string& path);
/// A new file with exactly this mode; throws base::Error when there is one. It is never seen half
/// written.
void WriteWholeFile(const std::string& path, std::string_view text, unsigned mode, bool replace);

using SettingLines = std::vector<std::pair<std::string, std::string>>;
void PrintSettings(const SettingLines& lines);
/// Puts the lines into the configuration file that `global` means, and says so.
void WriteSettings(const Global& global, const SettingLines& lines);

/// Steps of the gate, one line each.
void PrintSteps(const std::vector<plugin::GateStep>& steps, bool json);
bool AllPassed(const std::vector<plugin::GateStep>& steps);

void AddPluginFileCommands(CLI::App& plugins, Global& global, Run& run);  // inspect pin add
/// Shows the gate's steps for a file or a plugin's name; the second is a configuration file, or "".
using ShowGate = std::function<int(const std::string&, const std::string&)>;
void AddPluginCheckCommand(CLI::App& plugins, Global& global, Run& run, const ShowGate& show_gate);
void AddPluginRunCommands(CLI::App& plugins, Global& global, Run& run);  // run bench
void AddPluginKeyCommands(CLI::App& plugins, Global& global, Run& run);  // keygen sign verify

}  // namespace opensend::cli
