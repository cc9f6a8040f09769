#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "kernel/plugin/host_services.h"
#include "kernel/plugin/load/loader.h"
#include "kernel/plugin/vitals.h"
#include "kernel/runtime/worker.h"

namespace opensend::plugin {

struct InstanceSpec {
    std::string name;         // "transport.primary", "api_key"
    std::string config_json;  // an object
    LoadedKind kind;
    osp_status (*load)(const osp_host*, osp_error*) noexcept = nullptr;  // of its plugin
    bool grant_credentials = false;
    std::string plugin;  // name of its plugin; empty: as `name`
    Grants grants{};
    SecretSource secret{};                            // empty: that of the host
    std::shared_ptr<model::SharedBreaker> breaker{};  // null: one of its own
    std::function<void()> on_sick{};                  // it must be taken out; any thread
    std::shared_ptr<worker::Health> worker{};         // of its processes, if it runs apart
};

/// One instance and its life: made and started by Make, ended by Shutdown. Thread-safe but for
/// Shutdown, which is for the one who owns it.
class Instance {
public:
    static Checked<std::unique_ptr<Instance>> Make(
        InstanceSpec spec,
        const HostDeps& deps,
        std::shared_ptr<PluginCounters> counters,
        std::chrono::milliseconds timeout
    );
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    osp_inst* raw() const { return inst_; }
    const LoadedKind& kind() const { return spec_.kind; }
    const std::string& name() const { return spec_.name; }
    const base::Clock& clock() const { return *deps_.clock; }
    TokenTable& tokens() { return tokens_; }
    Strand& strand() { return strand_; }
    PluginCounters& counters() { return *counters_; }
    HostServices& services() { return services_; }
    Vitals& vitals() { return vitals_; }
    const Grants& grants() const { return spec_.grants; }
    const std::string& config_json() const { return spec_.config_json; }
    /// False from the moment TakeNoMore or Drain begins, or once it is out of service: no new
    /// calls.
    bool running() const { return running_ && vitals_.well(); }
    /// No new calls from now on.
    void TakeNoMore();
    /// Offers the plugin another configuration. OSP_OK: it is in effect. OSP_E_UNSUPPORTED: a new
    /// instance must take over. Otherwise refused, the old one holds; `error` says why.
    osp_status Reconfigure(const std::string& config_json, SecretSource secret, std::string& error);
    /// Runs a call as the strand's own, and takes its time. False: not before the deadline.
    template <class F>
    bool OnStrand(base::MonoTime deadline, const char* fn, F&& call) {
        return RunOnStrand(strand_, vitals_, deadline, fn, std::forward<F>(call));
    }
    /// Threads apart, for an instance that blocks where it may not. False: they are all taken.
    bool OnPool(std::function<void()> task);

    /// It runs in a process of its own.
    bool is_apart() const { return spec_.kind.make != nullptr; }
    /// Ends the process of an instance that runs apart, so that the calls inside return.
    void EndCalls();
    /// Lets what is out come back until `deadline`. False: something is still out.
    bool Drain(base::MonoTime deadline);
    /// stop and destroy; nothing of the plugin may be running any more.
    void Stop();
    /// How many calls run inside the plugin right now: kept by those who call.
    std::atomic<int>& calls_inside() { return calls_inside_; }

private:
    Instance(InstanceSpec spec, const HostDeps& deps, std::shared_ptr<PluginCounters> counters);
    Checked<bool> CreateAndStart(std::chrono::milliseconds timeout);
    osp_status Create(const osp_create_args& args, osp_inst** made, osp_error& error);

    InstanceSpec spec_;  // the configuration may be exchanged; by its owner's thread
    const HostDeps& deps_;
    const std::shared_ptr<PluginCounters> counters_;
    Vitals vitals_;
    TokenTable tokens_;
    Strand strand_;
    HostServices services_;
    osp_inst* inst_ = nullptr;
    std::atomic<bool> running_{false};
    std::atomic<int> calls_inside_{0};
    base::Guarded<std::unique_ptr<runtime::WorkerPool>> pool_;
};

}  // namespace opensend::plugin
