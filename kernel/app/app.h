#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernel/access/access_control.h"
#include "kernel/access/idempotency.h"
#include "kernel/access/key_directory.h"
#include "kernel/access/rate_gate.h"
#include "kernel/api/filters.h"
#include "kernel/api/router.h"
#include "kernel/app/storage.h"
#include "kernel/blob/fs_blob_store.h"
#include "kernel/dns/resolver.h"
#include "kernel/egress/client.h"
#include "kernel/egress/guard.h"
#include "kernel/http/server.h"
#include "kernel/listeners/api/health_api.h"
#include "kernel/plugin/host.h"
#include "kernel/resources/api_keys/api_keys_api.h"
#include "kernel/resources/domains/domains_api.h"
#include "kernel/resources/emails/emails_api.h"
#include "kernel/resources/webhooks/webhooks_api.h"
#include "kernel/runtime/config.h"
#include "kernel/runtime/worker.h"
#include "kernel/workers/delivery/dispatcher.h"
#include "kernel/workers/events/sequencer.h"
#include "kernel/workers/webhooks/webhook_sender.h"

namespace opensend::app {

/// Every object of the server; the members are the dependency order, C++ destroys in reverse.
class App {
public:
    /// Opens, loads, binds; ready on return. Throws base::Error.
    App(const runtime::Config& config, const std::set<std::string>& roles, bool migrate);
    ~App();

    uint16_t api_port() const;
    const plugin::Host& plugins() const { return *plugins_; }
    /// Stops accepting and lets requests in flight end (PROC-23).
    void Drain(std::chrono::milliseconds grace);

private:
    void StartWorkers();
    void StartApi();
    std::vector<health::Check> MoreChecks() const;

    const runtime::Config& config_;
    const std::set<std::string> roles_;
    std::optional<ProcessLock> lock_;
    Storage storage_;
    access::KeyDirectory keys_;
    domains::SenderRule senders_;
    access::Idempotency idempotency_;
    std::unique_ptr<blob::FsBlobStore> blobs_;
    std::unique_ptr<dns::Resolver> resolver_;
    std::unique_ptr<egress::Guard> guard_;
    std::unique_ptr<egress::Client> http_client_;
    std::unique_ptr<plugin::Host> plugins_;
    std::unique_ptr<webhook_delivery::WebhookSender> webhook_sender_;
    std::unique_ptr<sequencer::Sequencer> sequencer_;
    std::unique_ptr<delivery::RoutePlanner> routes_;
    std::unique_ptr<delivery::MailBuilder> builder_;
    std::unique_ptr<delivery::Dispatcher> dispatcher_;
    std::unique_ptr<health::HealthMonitor> monitor_;
    std::unique_ptr<access::AccessControl> access_;
    std::unique_ptr<access::RateGate> rates_;
    std::unique_ptr<emails::Acceptor> acceptor_;
    std::unique_ptr<domains::DomainFactory> domain_factory_;
    std::unique_ptr<domains::DomainsApi> domains_api_;
    std::unique_ptr<api_keys::ApiKeysApi> api_keys_api_;
    std::unique_ptr<webhooks::WebhooksApi> webhooks_api_;
    std::unique_ptr<emails::EmailsApi> emails_api_;
    std::unique_ptr<health::HealthApi> health_api_;
    api::Router router_;
    std::unique_ptr<api::Filters> filters_;
    std::unique_ptr<runtime::Worker> housekeeping_;
    std::unique_ptr<http::Server> server_;
};

/// The rules for outbound URLs that the configuration gives.
egress::Rules EgressRulesOf(const runtime::Config& config);
/// What the plugin host is told.
plugin::HostConfig PluginHostConfig(const runtime::Config& config);

}  // namespace opensend::app
