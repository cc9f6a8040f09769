#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "kernel/model/transport.h"
#include "kernel/plugin/instance.h"
#include "kernel/runtime/worker.h"

namespace opensend::plugin {

/// A transport instance as the kernel sees it. Blocking calls run on threads of its own, as many as
/// the plugin allows; the host's timers answer for a message whose deadline has passed.
class PluginTransport final : public model::Transport {
public:
    /// Reads the table and the caps.
    static Checked<std::unique_ptr<PluginTransport>> Make(
        std::string name,
        std::unique_ptr<Instance> instance,
        Timers& deadlines,
        std::chrono::milliseconds call_timeout
    );
    ~PluginTransport() override;

    const std::string& name() const override { return name_; }
    model::TransportCaps caps() const override;
    void Deliver(
        std::vector<std::shared_ptr<const model::OutgoingMessage>> batch,
        std::function<void(size_t, model::DeliveryResult)> done
    ) override;

    Instance& instance();
    /// Drain, then stop and destroy. A call that does not come back keeps its instance and thread
    /// for the rest of the process.
    void Shutdown(base::MonoTime deadline);

private:
    class Delivery;
    using Batch = std::vector<std::shared_ptr<Delivery>>;
    struct Core;  // outlives this when a call does not come back

    PluginTransport(std::string name, std::shared_ptr<Core> core);

    const std::string name_;
    std::shared_ptr<Core> core_;
};

}  // namespace opensend::plugin
