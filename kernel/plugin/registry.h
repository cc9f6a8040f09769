#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel/plugin/host.h"
#include "kernel/plugin/load/loader.h"
#include "kernel/plugin/token_table.h"

namespace opensend::plugin {

/// What the gate is asked about a plugin of the configuration; `dir` is plugins.dir.
GateRequest GateRequestOf(const std::string& dir, const PluginConfig& plugin);

/// One entry of plugins.enabled and what became of it.
struct RegistryEntry {
    PluginConfig config;
    std::string path;
    LoadedPlugin loaded;
    std::vector<std::string> kinds;
    std::shared_ptr<PluginCounters> counters = std::make_shared<PluginCounters>();
    bool up = false;
    std::string problem;
};

/// The enabled plugins, loaded in their order. Constant after construction but for the problems.
class Registry {
public:
    explicit Registry(const HostConfig& config);

    struct Found {
        RegistryEntry* plugin = nullptr;
        const LoadedKind* kind = nullptr;
    };
    /// The kind of that name, or all kinds of that interface of the plugin of that name.
    std::vector<Found> Find(std::string_view iface, std::string_view name);
    /// Those of the named plugin only; `kind` may be empty.
    std::vector<Found> FindIn(
        std::string_view plugin, std::string_view iface, std::string_view kind
    );
    /// Why Find or FindIn found nothing.
    std::string Missing(std::string_view iface, std::string_view name) const;
    const std::vector<std::unique_ptr<RegistryEntry>>& entries() const { return entries_; }

private:
    Checked<bool> LoadEntry(RegistryEntry& entry) const;
    std::vector<std::unique_ptr<RegistryEntry>> entries_;
};

}  // namespace opensend::plugin
