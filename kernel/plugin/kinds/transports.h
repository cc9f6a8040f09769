#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "kernel/model/transport.h"
#include "kernel/plugin/kinds/adapter.h"
#include "kernel/plugin/kinds/answers.h"
#include "kernel/plugin/switch.h"
#include "kernel/runtime/worker.h"

namespace opensend::plugin {

/// A transport instance as the kernel sees it. Blocking calls run on threads of its own, as many as
/// the plugin allows; the host's timers answer for a message whose deadline has passed.
class PluginTransport final : public model::Transport, public Adapter {
public:
    /// Reads the table and the caps. `answers` outlives it; null: no rules of an operator.
    static Checked<std::unique_ptr<PluginTransport>> Make(
        std::string name,
        std::unique_ptr<Instance> instance,
        Timers& deadlines,
        std::chrono::milliseconds call_timeout,
        const AnswerBoard* answers = nullptr
    );
    ~PluginTransport() override;

    const std::string& name() const override { return name_; }
    model::TransportCaps caps() const override;
    void Deliver(
        std::vector<std::shared_ptr<const model::OutgoingMessage>> batch,
        std::function<void(size_t, model::DeliveryResult)> done
    ) override;

    Instance& instance() override;
    Checked<bool> Probe(base::MonoTime deadline) override;
    /// What waits in here is handed over first. A call that does not come back keeps its instance
    /// and thread for the rest of the process.
    bool Shutdown(base::MonoTime deadline) override;

private:
    class Delivery;
    using Batch = std::vector<std::shared_ptr<Delivery>>;
    struct Core;  // outlives this when a call does not come back

    PluginTransport(std::string name, std::shared_ptr<Core> core);

    const std::string name_;
    std::shared_ptr<Core> core_;
};

/// The place of a transport: what the dispatcher holds while instances come and go.
class TransportSeat final : public model::Transport {
public:
    explicit TransportSeat(std::string name) : name_(std::move(name)) {}

    const std::string& name() const override { return name_; }
    model::TransportCaps caps() const override;
    /// Without an instance every message comes back as not tried.
    void Deliver(
        std::vector<std::shared_ptr<const model::OutgoingMessage>> batch,
        std::function<void(size_t, model::DeliveryResult)> done
    ) override;
    Switch<PluginTransport>& current() { return current_; }

private:
    const std::string name_;
    mutable Switch<PluginTransport> current_;
};

}  // namespace opensend::plugin
