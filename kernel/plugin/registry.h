#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel/plugin/host.h"
#include "kernel/plugin/load/loader.h"
#include "kernel/plugin/token_table.h"

namespace opensend::plugin {

/// Which content a path had when it was looked at.
struct FileStamp {
    uint64_t device = 0, inode = 0;
    int64_t size = 0, changed_ns = 0;
    bool operator==(const FileStamp&) const = default;
};
FileStamp StampOf(const std::string& path);
/// What the gate is asked about a plugin of the configuration; `dir` is plugins.dir.
GateRequest GateRequestOf(const std::string& dir, const PluginConfig& plugin);

/// One entry of plugins.enabled and what became of it.
struct RegistryEntry {
    PluginConfig config;
    FileStamp stamp;
    int generation = 1;  // how many contents of this plugin the process has mapped
    Grants requested, granted;
    std::string path;
    LoadedPlugin loaded;
    std::vector<std::string> kinds;
    std::shared_ptr<PluginCounters> counters = std::make_shared<PluginCounters>();
    bool up = false;
    std::string problem;
};

/// The enabled plugins, loaded in their order. One thread at a time.
class Registry {
public:
    Registry(const HostConfig& config, const base::Clock& clock);

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
    RegistryEntry* Entry(std::string_view plugin) const;

    /// Loads a plugin anew beside what there is, without putting it in place. At most 16 contents
    /// of one plugin are ever mapped.
    std::unique_ptr<RegistryEntry> LoadBeside(const HostConfig& config, const PluginConfig& plugin);
    /// Puts an entry in the place of the one of that name, or at the end; null removes. Gives the
    /// old one back.
    std::unique_ptr<RegistryEntry> Replace(
        const std::string& name, std::unique_ptr<RegistryEntry> entry
    );

private:
    std::unique_ptr<RegistryEntry> Make(const HostConfig& config, const PluginConfig& plugin) const;
    Checked<bool> LoadEntry(
        const HostConfig& config, RegistryEntry& entry, const RegistryEntry* replaces
    ) const;
    const base::Clock& clock_;
    std::vector<std::unique_ptr<RegistryEntry>> entries_;
};

}  // namespace opensend::plugin
