#include "kernel/plugin/registry.h"

#include <algorithm>

namespace opensend::plugin {

GateRequest GateRequestOf(const std::string& dir, const PluginConfig& plugin) {
    const std::string file = plugin.file.empty() ? plugin.name + ".so" : plugin.file;
    std::string path = file.front() == '/' ? file : base::Cat(dir, "/", file);
    return {plugin.name, std::move(path),       plugin.sha256,
            true,        plugin.written_grants, plugin.policy};
}

Registry::Registry(const HostConfig& config) {
    for (const PluginConfig& plugin : config.plugins) {
        auto entry = std::make_unique<RegistryEntry>();
        entry->config = plugin;
        entry->path = GateRequestOf(config.dir, plugin).path;
        const auto loaded = LoadEntry(*entry);
        entry->up = loaded.ok();
        if (!loaded.ok()) entry->problem = Describe(plugin.name, loaded.error());
        entries_.push_back(std::move(entry));
    }
}

Checked<bool> Registry::LoadEntry(RegistryEntry& entry) const {
    for (const auto& other : entries_) {
        if (other->config.name == entry.config.name)
            return Refuse("name", "a name of its own", "a plugin of that name");
    }
    GateRequest request = GateRequestOf({}, entry.config);
    request.path = entry.path;
    auto file = PassGate(request);
    if (!file.ok()) return base::Failure{file.error()};
    auto loaded = Load(**file);
    if (!loaded.ok()) return base::Failure{loaded.error()};
    for (const LoadedKind& kind : loaded->kinds) {
        const std::string label = base::Cat(kind.iface, ":", kind.name);
        for (const auto& other : entries_) {
            const auto& taken = other->kinds;
            if (other->up && std::find(taken.begin(), taken.end(), label) != taken.end())
                return Refuse("kinds", base::Cat(label, " from one plugin"), other->config.name);
        }
        entry.kinds.push_back(label);
    }
    entry.loaded = std::move(*loaded);
    return true;
}

std::vector<Registry::Found> Registry::Find(std::string_view iface, std::string_view name) {
    for (const auto& entry : entries_) {
        if (!entry->up) continue;
        for (const LoadedKind& kind : entry->loaded.kinds) {
            if (kind.iface == iface && kind.name == name)
                return {
                    {entry.get(), &kind}
                };
        }
    }
    return FindIn(name, iface, {});
}

std::vector<Registry::Found> Registry::FindIn(
    std::string_view plugin, std::string_view iface, std::string_view kind
) {
    std::vector<Found> out;
    for (const auto& entry : entries_) {
        if (!entry->up || entry->config.name != plugin) continue;
        for (const LoadedKind& candidate : entry->loaded.kinds) {
            if (candidate.iface == iface && (kind.empty() || candidate.name == kind))
                out.push_back({entry.get(), &candidate});
        }
    }
    return out;
}

std::string Registry::Missing(std::string_view iface, std::string_view name) const {
    for (const auto& entry : entries_) {
        if (entry->config.name == name && !entry->up) return entry->problem;
    }
    for (const auto& entry : entries_) {
        // A plugin that is down may be the one that has the kind.
        if (!entry->up && entry->config.name.find(name) == 0) return entry->problem;
    }
    return Describe(
        name, {"name", base::Cat("an enabled plugin with a kind of ", iface), "none of that name"}
    );
}

}  // namespace opensend::plugin
