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
#include "kernel/listeners/admin/admin_api.h"
#include "kernel/listeners/api/health_api.h"
#include "kernel/listeners/control/control_socket.h"
#include "kernel/plugin/host.h"
#include "kernel/resources/api_keys/api_keys_api.h"
#include "kernel/resources/domains/domains_api.h"
#include "kernel/resources/emails/emails_api.h"
#include "kernel/resources/plugin_kv/kv_store.h"
#include "kernel/resources/webhooks/webhooks_api.h"
#include "kernel/runtime/config.h"
#include "kernel/runtime/reload_list.h"
#include "kernel/runtime/worker.h"
#include "kernel/workers/delivery/dispatcher.h"
#include "kernel/workers/events/sequencer.h"
#include "kernel/workers/webhooks/webhook_sender.h"

namespace opensend::app {

/// Every object of the server; the members are the dependency order, C++ destroys in reverse.
class App {
public:
    /// How the configuration is read again.
    using ReadConfig =
        std::function<base::Result<runtime::Config, std::vector<runtime::ConfigProblem>>()>;
    /// Opens, loads, binds; ready on return. Throws base::Error.
    App(const runtime::Config& config,
        const std::set<std::string>& roles,
        bool migrate,
        ReadConfig read_config = {});
    ~App();

    uint16_t api_port() const;
    const plugin::Host& plugins() const { return *plugins_; }
    /// Reads the configuration again and puts what may change into effect (PROC-25); one that is
    /// refused changes nothing. A report in JSON: "ok", "problems", "plugins". Any thread.
    std::string Reload();
    /// Where to add what else a reload exchanges; at start only.
    runtime::ReloadList& reloads() { return reloads_; }
    /// Stops accepting and lets requests in flight end (PROC-23).
    void Drain(std::chrono::milliseconds grace);

private:
    void StartWorkers();
    void StartApi();
    void StartAdmin();
    void AddReloads();
    std::vector<health::Check> MoreChecks() const;

    const runtime::Config& config_;
    const std::set<std::string> roles_;
    const ReadConfig read_config_;
    runtime::ReloadList reloads_;
    base::Mutex reload_mutex_;
    std::vector<plugin::ReloadLine> last_reload_;  // of the reload under way
    model::BreakerBoard breakers_;
    std::optional<ProcessLock> lock_;
    Storage storage_;
    access::KeyDirectory keys_;
    domains::SenderRule senders_;
    access::Idempotency idempotency_;
    std::unique_ptr<blob::FsBlobStore> blobs_;
    std::unique_ptr<dns::Resolver> resolver_;
    std::unique_ptr<egress::Guard> guard_;
    std::unique_ptr<egress::Client> http_client_;
    std::unique_ptr<plugin_kv::DbKvStore> plugin_kv_;
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
    std::unique_ptr<admin::AdminApi> admin_api_;
    api::Router admin_router_;
    std::unique_ptr<api::Filters> admin_filters_;
    std::unique_ptr<http::Server> admin_server_;
    std::unique_ptr<control::ControlSocket> control_;
};

/// The rules for outbound URLs that the configuration gives.
egress::Rules EgressRulesOf(const runtime::Config& config);
/// Other values that a reload puts into effect.
std::map<std::string, access::BucketNumbers, std::less<>> RateNumbersOf(
    const runtime::Config& config
);
std::vector<base::Cidr> CidrsOf(const std::vector<std::string>& texts);
std::vector<delivery::RouteGroup> RouteGroupsOf(const runtime::Config& config);
/// What the plugin host is told.
plugin::HostConfig PluginHostConfig(const runtime::Config& config);

}  // namespace opensend::app
