#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/base/mutex.h"
#include "kernel/plugin/host.h"
#include "kernel/plugin/instance.h"
#include "kernel/plugin/kinds/authenticators.h"
#include "kernel/plugin/kinds/limiters.h"
#include "kernel/plugin/kinds/transports.h"
#include "kernel/plugin/registry.h"
#include "kernel/plugin/timers.h"
#include "kernel/runtime/worker.h"

namespace opensend::plugin {

/// One place in the server that an instance fills: it stays while instances come and go.
struct Seat {
    std::string name;  // of the instance: "transport.primary", "api_key"
    TransportConfig wanted;
    std::string iface, kind, plugin;  // who serves, or should
    std::string version, isolation, config_json, secrets_digest;
    Grants grants;
    SecretSource secret;  // of the configuration it was made from
    uint64_t generation = 0;
    std::string problem;                            // why nobody serves here
    InstanceState ended = InstanceState::kStopped;  // how the last one went, when nobody serves
    bool removed = false;                           // not in the configuration any more
    std::shared_ptr<PluginCounters> counters = std::make_shared<PluginCounters>();
    std::shared_ptr<model::SharedBreaker> breaker = std::make_shared<model::SharedBreaker>();
    std::shared_ptr<worker::Health> worker = std::make_shared<worker::Health>();
    bool apart = false;          // who serves runs in a process of its own
    Adapter* adapter = nullptr;  // who serves
    // The place itself is one of these.
    std::unique_ptr<TransportSeat> transport;
    AuthChain::Seat* auth = nullptr;
    std::unique_ptr<LimiterSeat> limiter;
};

/// What Host is made of. `control` is held by whoever changes something, `mutex` for the moment in
/// which seats and entries change or are read.
struct Host::State {
    State(HostConfig host_config, HostDeps host_deps);
    ~State();

    // Making and exchanging instances (seats.cpp).
    struct Plan {
        RegistryEntry* entry = nullptr;
        const LoadedKind* kind = nullptr;
        std::string config_json;
        Grants grants;
        SecretSource secret;
    };
    Checked<std::unique_ptr<Adapter>> MakeAdapter(const Seat& seat, const Plan& plan);
    /// Puts `next` in the seat, null for nobody; gives back who served when all calls have left.
    std::unique_ptr<Adapter> Exchange(Seat& seat, std::unique_ptr<Adapter> next);
    void Note(Seat& seat, const Plan& plan);
    /// False: it is still busy and stays for good.
    bool Retire(std::unique_ptr<Adapter> adapter, base::MonoTime deadline);
    /// At start: makes and seats at once.
    bool Fill(Seat& seat, const Registry::Found& found, const std::string& config_json);
    void AddTransport(const TransportConfig& transport);
    void AddAuth(const std::string& name);
    LimiterSeat* AddLimiter(std::string_view name);
    void AddLimiters();
    /// Takes out who must not serve any more.
    void TendSick();
    SecretSource SecretsOf(const HostConfig& from) const;

    // Reload (reload.cpp).
    struct Step;
    std::vector<ReloadLine> Reload(HostConfig next);
    ReloadLine ReloadPlugin(const HostConfig& next, const PluginConfig& plugin);
    std::optional<std::string> PlanSteps(
        const HostConfig& next,
        const PluginConfig& plugin,
        RegistryEntry& entry,
        bool is_new_code,
        std::vector<Step>& steps
    );
    std::optional<std::string> PrepareSteps(std::vector<Step>& steps);
    void Commit(std::vector<Step>& steps, std::vector<std::unique_ptr<Adapter>>& old);
    ReloadLine RemovePlugin(const std::string& name);
    void TendTransports(const HostConfig& next, std::vector<ReloadLine>& lines);
    bool Clear(Seat& seat, std::string problem, bool removed);
    /// The kind of the entry that serves this transport; null: none of it.
    const LoadedKind* Serves(const RegistryEntry& entry, const TransportConfig& transport) const;
    Seat* FindSeat(const std::string& name) const;

    HostConfig config;
    const HostDeps deps;
    base::Mutex control;
    mutable base::Mutex mutex;
    std::unique_ptr<model::BreakerBoard> own_breakers;
    model::BreakerBoard& breakers;
    Timers deadlines;
    Registry registry;
    std::vector<std::unique_ptr<Seat>> seats;
    AuthChain auth;
    LimiterSeat* chosen_limiter = nullptr;
    LimiterSeat* memory_limiter = nullptr;
    std::vector<std::string> fatal;
    std::atomic<bool> closing{false};
    /// Reaches the worker as long as there is one; held by the instances, which may live longer.
    std::shared_ptr<base::Guarded<runtime::Worker*>> waker;
    std::unique_ptr<runtime::Worker> tender;

    /// What PublishMetrics has already counted.
    struct Published {
        uint64_t ok = 0, errors = 0, late = 0, twice = 0, unknown = 0;
        uint64_t starts = 0, deaths = 0, not_tried = 0, indeterminate = 0;
        std::string info[4];
    };
    mutable base::Guarded<std::map<std::string, Published>> published;
};

/// SHA-256 over the secrets that a configuration refers to.
std::string DigestOfSecrets(const std::string& config_json, const SecretSource& source);

}  // namespace opensend::plugin
