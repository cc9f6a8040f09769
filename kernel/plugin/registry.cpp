#include "kernel/plugin/registry.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "kernel/plugin/load/requests.h"
#include "kernel/plugin/worker/proxy.h"

namespace opensend::plugin {
namespace {

constexpr int kMaxGenerations = 16;

/// Whether the plugin runs in processes of its own.
Checked<bool> RunsApart(
    const HostConfig& config, const PluginConfig& plugin, const Manifest& manifest
) {
    const auto can = [&](std::string_view place) {
        const auto& places = manifest.isolation;
        return places.empty() || std::find(places.begin(), places.end(), place) != places.end();
    };
    std::string_view place = plugin.isolation;
    if (place.empty()) {
        const auto& kinds = manifest.kinds;
        const bool is_kept_out =
            !config.worker_path.empty() && !IsShipped(plugin.name, manifest.id) &&
            std::any_of(kinds.begin(), kinds.end(), [](const std::string& kind) {
                const std::string_view iface = std::string_view(kind).substr(0, kind.find(':'));
                return iface == OSP_KIND_TRANSPORT || iface == OSP_KIND_RATELIMIT ||
                       iface == OSP_KIND_INBOUND;
            });
        place = is_kept_out || !can("inproc") ? "worker" : "inproc";
    }
    if (can(place)) return place == "worker";
    // Only the operator lets somebody else's code into the server.
    return Refuse(
        "isolation",
        base::Cat(
            "plugins.", plugin.name, ".isolation = ", manifest.isolation.front(),
            ", the one its manifest names"
        ),
        plugin.isolation.empty() ? base::Cat(place, " by default") : std::string(place)
    );
}

Checked<LoadedPlugin> LoadWhereItRuns(
    const HostConfig& config,
    const PluginConfig& plugin,
    const base::Clock& clock,
    std::unique_ptr<PluginFile> file,
    bool apart
) {
    if (!apart) return Load(*file);
    worker::Plan plan;
    plan.program = config.worker_path;
    plan.patience = config.worker_patience;
    plan.clock = &clock;
    if (plugin.memory != 0) plan.limits.memory = plugin.memory;
    return worker::Load(std::move(file), plan);
}

/// How many contents of this plugin are mapped once this one is.
Checked<int> GenerationOf(const RegistryEntry& entry, const RegistryEntry* replaces, bool apart) {
    if (replaces == nullptr) return 1;
    // A process of its own takes its mapping with it.
    const bool is_new = !apart && replaces->up && !(replaces->stamp == entry.stamp);
    const int generation = replaces->generation + (is_new ? 1 : 0);
    if (generation <= kMaxGenerations) return generation;
    return Refuse(
        "reload", base::Cat("at most ", kMaxGenerations, " contents of the file"),
        "one more; restart the server"
    );
}

}  // namespace

FileStamp StampOf(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return {};
    return {
        status.st_dev, status.st_ino, status.st_size,
        status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

GateRequest GateRequestOf(const std::string& dir, const PluginConfig& plugin) {
    const std::string file = plugin.file.empty() ? plugin.name + ".so" : plugin.file;
    std::string path = file.front() == '/' ? file : base::Cat(dir, "/", file);
    return {plugin.name, std::move(path),       plugin.sha256,
            true,        plugin.written_grants, plugin.policy};
}

Registry::Registry(const HostConfig& config, const base::Clock& clock) : clock_(clock) {
    for (const PluginConfig& plugin : config.plugins) {
        auto entry = Make(config, plugin);
        const auto loaded = LoadEntry(config, *entry, nullptr);
        entry->up = loaded.ok();
        if (!loaded.ok()) entry->problem = Describe(plugin.name, loaded.error());
        entries_.push_back(std::move(entry));
    }
}

std::unique_ptr<RegistryEntry> Registry::Make(const HostConfig& config, const PluginConfig& plugin)
    const {
    auto entry = std::make_unique<RegistryEntry>();
    entry->config = plugin;
    entry->path = GateRequestOf(config.dir, plugin).path;
    entry->stamp = StampOf(entry->path);
    return entry;
}

RegistryEntry* Registry::Entry(std::string_view plugin) const {
    for (const auto& entry : entries_) {
        if (entry->config.name == plugin) return entry.get();
    }
    return nullptr;
}

std::unique_ptr<RegistryEntry> Registry::LoadBeside(
    const HostConfig& config, const PluginConfig& plugin
) {
    auto entry = Make(config, plugin);
    const RegistryEntry* old = Entry(plugin.name);
    const auto loaded = LoadEntry(config, *entry, old);
    entry->up = loaded.ok();
    if (!loaded.ok()) entry->problem = Describe(plugin.name, loaded.error());
    return entry;
}

std::unique_ptr<RegistryEntry> Registry::Replace(
    const std::string& name, std::unique_ptr<RegistryEntry> entry
) {
    const auto place = std::find_if(entries_.begin(), entries_.end(), [&](const auto& one) {
        return one->config.name == name;
    });
    if (place == entries_.end()) {
        if (entry) entries_.push_back(std::move(entry));
        return nullptr;
    }
    auto old = std::exchange(*place, std::move(entry));
    if (!*place) entries_.erase(place);
    return old;
}

Checked<bool> Registry::LoadEntry(
    const HostConfig& config, RegistryEntry& entry, const RegistryEntry* replaces
) const {
    if (entry.config.refused) return base::Failure{*entry.config.refused};
    for (const auto& other : entries_) {
        if (other.get() != replaces && other->config.name == entry.config.name)
            return Refuse("name", "a name of its own", "a plugin of that name");
    }
    GateRequest request = GateRequestOf({}, entry.config);
    request.path = entry.path;
    auto file = PassGate(request);
    if (!file.ok()) return base::Failure{file.error()};
    auto requested = ParseGrants((*file)->note().json);
    if (!requested.ok()) return base::Failure{requested.error()};
    const auto apart = RunsApart(config, entry.config, (*file)->manifest());
    if (!apart.ok()) return base::Failure{apart.error()};
    const auto generation = GenerationOf(entry, replaces, *apart);
    if (!generation.ok()) return base::Failure{generation.error()};
    entry.generation = *generation;
    auto loaded = LoadWhereItRuns(config, entry.config, clock_, std::move(*file), *apart);
    if (!loaded.ok()) return base::Failure{loaded.error()};
    for (const LoadedKind& kind : loaded->kinds) {
        const std::string label = base::Cat(kind.iface, ":", kind.name);
        for (const auto& other : entries_) {
            const auto& taken = other->kinds;
            if (other.get() != replaces && other->up &&
                std::find(taken.begin(), taken.end(), label) != taken.end())
                return Refuse("kinds", base::Cat(label, " from one plugin"), other->config.name);
        }
        entry.kinds.push_back(label);
    }
    entry.loaded = std::move(*loaded);
    entry.requested = std::move(*requested);
    if (entry.config.grants) {
        entry.granted = *entry.config.grants;
    } else if (IsShipped(entry.config.name, entry.loaded.id)) {
        entry.granted = entry.requested;
    }
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
