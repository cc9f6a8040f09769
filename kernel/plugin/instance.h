#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "kernel/plugin/host_services.h"
#include "kernel/plugin/load/loader.h"

namespace opensend::plugin {

struct InstanceSpec {
    std::string name;         // "transport.primary", "api_key"
    std::string config_json;  // an object
    LoadedKind kind;
    osp_status (*load)(const osp_host*, osp_error*) noexcept = nullptr;  // of its plugin
    bool grant_credentials = false;
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
    /// False from the moment Drain begins: no new calls.
    bool running() const { return running_; }

    /// Lets what is out come back until `deadline`. False: something is still out.
    bool Drain(base::MonoTime deadline);
    /// stop and destroy; nothing of the plugin may be running any more.
    void Stop();

private:
    Instance(InstanceSpec spec, const HostDeps& deps, std::shared_ptr<PluginCounters> counters);
    Checked<bool> CreateAndStart(std::chrono::milliseconds timeout);

    const InstanceSpec spec_;
    const HostDeps& deps_;
    const std::shared_ptr<PluginCounters> counters_;
    TokenTable tokens_;
    Strand strand_;
    HostServices services_;
    osp_inst* inst_ = nullptr;
    std::atomic<bool> running_{false};
};

}  // namespace opensend::plugin
