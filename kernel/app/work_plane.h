#pragma once

#include <memory>

#include "kernel/app/shared.h"
#include "kernel/base/guarded.h"
#include "kernel/workers/delivery/dispatcher.h"
#include "kernel/workers/domains/domain_verifier.h"
#include "kernel/workers/events/sequencer.h"
#include "kernel/workers/webhooks/replay_runner.h"
#include "kernel/workers/webhooks/webhook_sender.h"

namespace opensend::app {

/// What the role `worker` runs.
class WorkPlane {
public:
    explicit WorkPlane(Shared& shared);
    ~WorkPlane();
    void SetGroups(std::vector<delivery::RouteGroup> groups) {
        routes_->SetGroups(std::move(groups));
    }
    void SetPaces(std::map<std::string, delivery::Pace> paces) {
        dispatcher_->SetPaces(std::move(paces));
    }
    /// New mail may be due.
    void WakeDelivery() { dispatcher_->Wake(); }
    /// New events wait for their place.
    void WakeEvents() { sequencer_->Wake(); }
    /// New webhook deliveries or replays are due.
    void WakeWebhooks() {
        webhook_sender_->Wake();
        replay_runner_->Wake();
    }
    /// A look-up of a domain or a claim is due.
    void WakeDomains() { domain_verifier_->Wake(); }

private:
    // The sender wakes the sequencer and the other way round: through these, while both live.
    base::Guarded<sequencer::Sequencer*> wakeable_sequencer_{nullptr};
    std::unique_ptr<webhook_delivery::WebhookSender> webhook_sender_;
    std::unique_ptr<webhook_delivery::ReplayRunner> replay_runner_;
    std::unique_ptr<sequencer::Sequencer> sequencer_;
    std::unique_ptr<domain_checks::DomainChecker> domain_checker_;
    std::unique_ptr<domain_checks::DomainVerifier> domain_verifier_;
    std::unique_ptr<delivery::RoutePlanner> routes_;
    std::unique_ptr<delivery::MailBuilder> builder_;
    std::unique_ptr<delivery::Dispatcher> dispatcher_;
};

}  // namespace opensend::app
