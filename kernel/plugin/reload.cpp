#include <algorithm>
#include <optional>
#include <utility>

#include "kernel/plugin/host_state.h"
#include "kernel/runtime/log.h"

namespace opensend::plugin {
namespace {

constexpr std::chrono::seconds kProbePatience{10};

/// The grants of a plugin under another block of the same code.
Grants GrantsUnder(const RegistryEntry& entry, const PluginConfig& block) {
    if (block.grants) return *block.grants;
    // Without a block of its own it keeps what was decided when it was loaded without one.
    return entry.config.grants ? Grants{} : entry.granted;
}

}  // namespace

/// One seat on its way from one instance to the next.
struct Host::State::Step {
    Seat* seat = nullptr;
    std::unique_ptr<Seat> fresh;  // the seat is new
    TransportConfig wanted;
    Plan plan;
    bool may_reconfigure = false;
    bool was_reconfigured = false;
    std::string old_json;
    SecretSource old_secret;
    std::unique_ptr<Adapter> next;
};

Seat* Host::State::FindSeat(const std::string& name) const {
    for (const auto& seat : seats) {
        if (seat->name == name) return seat.get();
    }
    return nullptr;
}

const LoadedKind* Host::State::Serves(const RegistryEntry& entry, const TransportConfig& transport)
    const {
    if (!entry.up) return nullptr;
    const bool is_named = !transport.plugin.empty();
    if (is_named && transport.plugin != entry.config.name) return nullptr;
    const LoadedKind* any = nullptr;
    for (const LoadedKind& kind : entry.loaded.kinds) {
        if (kind.iface != OSP_KIND_TRANSPORT) continue;
        if (kind.name == transport.kind) return &kind;
        if (any == nullptr) any = &kind;
    }
    const bool fits = is_named ? transport.kind.empty() : transport.kind == entry.config.name;
    return fits ? any : nullptr;
}

std::optional<std::string> Host::State::PlanSteps(
    const HostConfig& next,
    const PluginConfig& plugin,
    RegistryEntry& entry,
    bool is_new_code,
    std::vector<Step>& steps
) {
    const Grants grants = is_new_code ? entry.granted : GrantsUnder(entry, plugin);
    const SecretSource secret = SecretsOf(next);
    const auto add = [&](Seat* seat, const LoadedKind& kind, const std::string& json) -> Step* {
        const bool serves = seat != nullptr && seat->adapter != nullptr &&
                            seat->adapter->instance().vitals().well() &&
                            seat->plugin == plugin.name && seat->iface == kind.iface &&
                            seat->kind == kind.name && seat->grants == grants && !is_new_code;
        const std::string config_json = json.empty() ? "{}" : json;
        if (serves && seat->config_json == json &&
            seat->secrets_digest == DigestOfSecrets(json, secret)) {
            seat->adapter->instance().services().SetSecrets({config_json, secret});
            seat->secret = secret;
            return nullptr;
        }
        Step step;
        step.seat = seat;
        step.plan = {&entry, &kind, json, grants, secret};
        step.may_reconfigure = serves;
        if (seat != nullptr) {
            step.old_json = seat->config_json;
            step.old_secret = seat->secret;
        }
        steps.push_back(std::move(step));
        return &steps.back();
    };
    for (const TransportConfig& transport : next.transports) {
        const LoadedKind* kind = Serves(entry, transport);
        if (kind == nullptr) continue;
        const std::string name = base::Cat("transport.", transport.name);
        Seat* seat = FindSeat(name);
        Step* step = add(seat, *kind, transport.config_json);
        if (step == nullptr) continue;
        step->wanted = transport;
        if (seat != nullptr) continue;
        step->fresh = std::make_unique<Seat>();
        step->fresh->name = name;
        step->fresh->transport = std::make_unique<TransportSeat>(transport.name);
        step->seat = step->fresh.get();
    }
    for (const auto& seat : seats) {
        if (seat->transport || seat->plugin != plugin.name) continue;
        const auto kind = std::find_if(
            entry.loaded.kinds.begin(), entry.loaded.kinds.end(),
            [&](const LoadedKind& one) {
                return one.iface == seat->iface && one.name == seat->kind;
            }
        );
        if (kind == entry.loaded.kinds.end())
            return Describe(
                plugin.name,
                {"reload", base::Cat("the kind ", seat->kind, " that is in use"), "none"}
            );
        add(seat.get(), *kind, plugin.config_json);
    }
    return std::nullopt;
}

/// Makes what is to serve, without letting it. What a failed step has done is undone.
std::optional<std::string> Host::State::PrepareSteps(std::vector<Step>& steps) {
    const auto build = [&](Step& step) -> std::optional<std::string> {
        auto made = MakeAdapter(*step.seat, step.plan);
        if (!made.ok()) return Describe(step.seat->name, made.error());
        const auto probed = (*made)->Probe(deps.clock->Mono() + kProbePatience);
        if (!probed.ok()) {
            Retire(std::move(*made), deps.clock->Mono() + kProbePatience);
            return Describe(step.seat->name, probed.error());
        }
        step.next = std::move(*made);
        return std::nullopt;
    };
    std::optional<std::string> problem;
    for (Step& step : steps) {
        if (!problem && !step.may_reconfigure) problem = build(step);
    }
    for (Step& step : steps) {
        if (problem || !step.may_reconfigure) continue;
        std::string error;
        const osp_status status = step.seat->adapter->instance().Reconfigure(
            step.plan.config_json.empty() ? "{}" : step.plan.config_json, step.plan.secret, error
        );
        if (status == OSP_E_UNSUPPORTED) {
            problem = build(step);
        } else if (status == OSP_OK) {
            step.was_reconfigured = true;
        } else {
            problem = Describe(step.seat->name, {"reconfigure", "success", error});
        }
    }
    if (!problem) return std::nullopt;
    for (Step& step : steps) {
        Retire(std::move(step.next), deps.clock->Mono() + config.call_timeout);
        std::string error;
        if (step.was_reconfigured)
            step.seat->adapter->instance().Reconfigure(
                step.old_json.empty() ? "{}" : step.old_json, step.old_secret, error
            );
    }
    return problem;
}

void Host::State::Commit(std::vector<Step>& steps, std::vector<std::unique_ptr<Adapter>>& old) {
    for (Step& step : steps) {
        Seat& seat = *step.seat;
        Note(seat, step.plan);
        {
            base::MutexLock lock(mutex);
            if (seat.transport) seat.wanted = step.wanted;
            if (step.next) {
                ++seat.generation;
                seat.ended = InstanceState::kStopped;
            }
            if (step.fresh) seats.push_back(std::move(step.fresh));
        }
        if (step.next) old.push_back(Exchange(seat, std::move(step.next)));
    }
}

ReloadLine Host::State::ReloadPlugin(const HostConfig& next, const PluginConfig& plugin) {
    RegistryEntry* const current = registry.Entry(plugin.name);
    if (plugin.refused && current != nullptr)
        return {plugin.name, "kept", Describe(plugin.name, *plugin.refused)};
    const std::string file = plugin.file.empty() ? plugin.name + ".so" : plugin.file;
    const std::string path = file.front() == '/' ? file : base::Cat(next.dir, "/", file);
    const bool is_new_code =
        current == nullptr || !current->up || current->path != path ||
        current->config.sha256 != plugin.sha256 || current->config.isolation != plugin.isolation ||
        current->config.memory != plugin.memory || !(StampOf(path) == current->stamp);
    std::unique_ptr<RegistryEntry> loaded;
    if (is_new_code) {
        loaded = registry.LoadBeside(next, plugin);
        if (!loaded->up) {
            const std::string problem = loaded->problem;
            base::MutexLock lock(mutex);
            if (current == nullptr || !current->up)
                registry.Replace(plugin.name, std::move(loaded));
            return {plugin.name, "kept", problem};
        }
    }
    RegistryEntry& entry = loaded ? *loaded : *current;
    std::vector<Step> steps;
    steps.reserve(next.transports.size() + seats.size());
    auto problem = PlanSteps(next, plugin, entry, is_new_code, steps);
    if (!problem) problem = PrepareSteps(steps);
    if (problem) return {plugin.name, "kept", *problem};

    const bool only_reconfigured = std::all_of(steps.begin(), steps.end(), [](const Step& step) {
        return step.was_reconfigured;
    });
    std::vector<std::unique_ptr<Adapter>> old;
    const Grants granted = is_new_code ? entry.granted : GrantsUnder(entry, plugin);
    Commit(steps, old);
    std::unique_ptr<RegistryEntry> replaced;
    {
        base::MutexLock lock(mutex);
        entry.config = plugin;
        entry.granted = granted;
        entry.problem.clear();
        if (loaded) replaced = registry.Replace(plugin.name, std::move(loaded));
    }
    bool all_gone = true;
    const base::MonoTime deadline = deps.clock->Mono() + config.call_timeout;
    for (auto& adapter : old) all_gone = Retire(std::move(adapter), deadline) && all_gone;
    // The same content is the same mapping, which goes on serving.
    if (replaced && replaced->up && all_gone && !(replaced->stamp == entry.stamp))
        replaced->loaded.unload();
    if (current == nullptr) return {plugin.name, "added", {}};
    if (is_new_code) return {plugin.name, "replaced", {}};
    if (steps.empty()) return {plugin.name, "unchanged", {}};
    return {plugin.name, only_reconfigured ? "reconfigured" : "replaced", {}};
}

bool Host::State::Clear(Seat& seat, std::string problem, bool removed) {
    auto adapter = Exchange(seat, nullptr);
    {
        base::MutexLock lock(mutex);
        seat.problem = std::move(problem);
        seat.removed = removed;
        seat.ended = InstanceState::kStopped;
        seat.config_json.clear();
    }
    return Retire(std::move(adapter), deps.clock->Mono() + config.call_timeout);
}

ReloadLine Host::State::RemovePlugin(const std::string& name) {
    for (const auto& seat : seats) {
        if (!seat->transport && seat->plugin == name)
            return {
                name, "kept",
                Describe(name, {"reload", "a plugin that is not in use", seat->name})};
    }
    bool all_gone = true;
    for (const auto& seat : seats) {
        if (seat->adapter == nullptr || seat->plugin != name) continue;
        all_gone = Clear(*seat, Describe(seat->name, {"name", "an enabled plugin", name}), false) &&
                   all_gone;
    }
    std::unique_ptr<RegistryEntry> gone;
    {
        base::MutexLock lock(mutex);
        gone = registry.Replace(name, nullptr);
    }
    if (gone && gone->up && all_gone) gone->loaded.unload();
    return {name, "removed", {}};
}

void Host::State::TendTransports(const HostConfig& next, std::vector<ReloadLine>& lines) {
    for (const auto& seat : seats) {
        if (!seat->transport || seat->removed) continue;
        const bool is_wanted =
            std::any_of(next.transports.begin(), next.transports.end(), [&](const auto& one) {
                return one.name == seat->transport->name();
            });
        if (is_wanted) continue;
        Clear(*seat, {}, true);
        lines.push_back({seat->name, "removed", {}});
    }
    for (const TransportConfig& transport : next.transports) {
        const auto& entries = registry.entries();
        const bool is_served = std::any_of(entries.begin(), entries.end(), [&](const auto& entry) {
            return Serves(*entry, transport) != nullptr;
        });
        if (is_served) continue;
        const std::string name = base::Cat("transport.", transport.name);
        const std::string problem = registry.Missing(
            OSP_KIND_TRANSPORT, transport.plugin.empty() ? transport.kind : transport.plugin
        );
        lines.push_back({name, "kept", problem});
        if (FindSeat(name) != nullptr) continue;
        auto seat = std::make_unique<Seat>();
        seat->name = name;
        seat->wanted = transport;
        seat->iface = OSP_KIND_TRANSPORT;
        seat->kind = transport.kind;
        seat->plugin = transport.plugin;
        seat->problem = problem;
        seat->transport = std::make_unique<TransportSeat>(transport.name);
        base::MutexLock lock(mutex);
        seats.push_back(std::move(seat));
    }
}

std::vector<ReloadLine> Host::State::Reload(HostConfig next) {
    base::MutexLock lock(control);
    std::vector<ReloadLine> lines;
    if (next.auth_backends != config.auth_backends)
        lines.push_back({"auth.backends", "kept", "auth.backends: another value needs a restart"});
    if (next.ratelimit_backend != config.ratelimit_backend)
        lines.push_back(
            {"ratelimit.backend", "kept", "ratelimit.backend: another value needs a restart"}
        );
    next.auth_backends = config.auth_backends;
    next.ratelimit_backend = config.ratelimit_backend;
    next.call_timeout = config.call_timeout;
    for (const PluginConfig& plugin : next.plugins) lines.push_back(ReloadPlugin(next, plugin));
    std::vector<std::string> gone;
    for (const auto& entry : registry.entries()) {
        const bool stays =
            std::any_of(next.plugins.begin(), next.plugins.end(), [&](const PluginConfig& one) {
                return one.name == entry->config.name;
            });
        if (!stays) gone.push_back(entry->config.name);
    }
    for (const std::string& name : gone) lines.push_back(RemovePlugin(name));
    TendTransports(next, lines);
    config = std::move(next);
    for (const ReloadLine& line : lines) {
        if (line.problem.empty()) {
            OPENSEND_LOG(
                kInfo, "plugin.reloaded", "a plugin was looked at again", kv("plugin", line.plugin),
                kv("result", line.result)
            );
        } else {
            OPENSEND_LOG(
                kError, "plugin.reload_refused", "the old instances go on",
                kv("plugin", line.plugin), kv("problem", line.problem)
            );
        }
    }
    return lines;
}

}  // namespace opensend::plugin
