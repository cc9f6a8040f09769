#include "kernel/app/work_plane.h"

#include <set>

#include "kernel/app/wiring.h"
#include "kernel/base/text.h"

namespace opensend::app {
namespace {

delivery::DeliveryPolicy PolicyOf(const runtime::Config& config) {
    delivery::DeliveryPolicy policy;
    policy.max_age = config.Span("send.max_age");
    policy.unknown_wait = config.Span("send.unknown_wait");
    const std::string unknown = config.Text("send.unknown_policy");
    if (unknown == "hold") policy.unknown = delivery::DeliveryPolicy::Unknown::kHold;
    if (unknown == "assume_sent") policy.unknown = delivery::DeliveryPolicy::Unknown::kAssumeSent;
    return policy;
}

/// Notices of failed delivery reach the ingester through the mail exchanger that passes mail on to
/// it; with SES the records lead them to the provider.
bool BouncesArrive(const runtime::Config& config) {
    if (config.Text("inbound.mx_host").empty()) return false;
    for (const auto& transport : config.Transports()) {
        if (transport.kind == "ses") return false;
    }
    return true;
}

/// Transports whose envelope sender is always that of the header.
std::set<std::string> HeaderFromTransports(const runtime::Config& config) {
    std::set<std::string> out;
    for (const auto& transport : config.Transports()) {
        const auto keys = config.Below(base::Cat("transport.", transport.name, '.'));
        const auto found = keys.find("envelope_from");
        if (found != keys.end() && found->second == "header_from") out.insert(transport.name);
    }
    return out;
}

}  // namespace

WorkPlane::WorkPlane(Shared& shared) {
    const bool single = IsSqlite(shared.config);
    webhook_sender_ = std::make_unique<webhook_delivery::WebhookSender>(
        webhook_delivery::WebhookSender::Deps{
            *shared.storage.pool, shared.storage.keyring, *shared.guard, *shared.http_client,
            shared.storage.ids, shared.storage.random, shared.storage.clock,
            [this] {
                wakeable_sequencer_.With([](auto* sequencer) {
                    if (sequencer != nullptr) sequencer->Wake();
                });
                    }
    },
        webhook_delivery::WebhookSender::Options{
            .timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
                shared.config.Span("webhooks.timeout")
            ),
            .slots =
                {.per_endpoint =
                     static_cast<size_t>(shared.config.Int("webhooks.endpoint_concurrency")),
                 .per_tenant = static_cast<size_t>(shared.config.Int("webhooks.org_concurrency")),
                 .total = static_cast<size_t>(shared.config.Int("webhooks.workers"))},
            .disable_after = shared.config.Span("webhooks.disable_after"),
            .single_process = single}
    );
    sequencer_ = std::make_unique<sequencer::Sequencer>(
        *shared.storage.pool, shared.storage.ids, shared.storage.clock,
        [this] { webhook_sender_->Wake(); }, [&shared] { shared.sequenced.Notify(); }
    );
    wakeable_sequencer_.With([this](auto& sequencer) { sequencer = sequencer_.get(); });
    replay_runner_ = std::make_unique<webhook_delivery::ReplayRunner>(
        *shared.storage.pool, shared.storage.ids, shared.storage.clock,
        [this] { webhook_sender_->Wake(); }
    );
    domain_checker_ = std::make_unique<domain_checks::DomainChecker>(
        domain_checks::DomainChecker::Deps{
            *shared.storage.pool, *shared.resolver, shared.storage.ids, shared.storage.random,
            shared.storage.clock, RecordCatalogOf(shared.config),
            [this, &shared] {
                shared.senders.Invalidate();
                sequencer_->Wake();
            }},
        CheckOptions(shared.config)
    );
    domain_verifier_ = std::make_unique<domain_checks::DomainVerifier>(
        *shared.storage.pool, shared.storage.random, shared.storage.clock, *domain_checker_
    );
    routes_ = std::make_unique<delivery::RoutePlanner>(
        RouteGroupsOf(shared.config), &shared.breakers, "transport."
    );
    builder_ = std::make_unique<delivery::MailBuilder>(delivery::MailBuilder::Deps{
        *shared.storage.pool, *shared.blobs, shared.storage.keyring, *shared.guard,
        *shared.http_client, shared.storage.clock, *shared.storage.instance_keys,
        BouncesArrive(shared.config), HeaderFromTransports(shared.config)});
    dispatcher_ = std::make_unique<delivery::Dispatcher>(
        delivery::Dispatcher::Deps{
            *shared.storage.pool, *routes_,
            [&shared](const std::string& name) { return shared.plugins->FindTransport(name); },
            *builder_, shared.storage.ids, shared.storage.random, shared.storage.clock,
            [this] { sequencer_->Wake(); }},
        delivery::Dispatcher::Options{
            .policy = PolicyOf(shared.config),
            .lease = shared.config.Span("send.lease"),
            .single_process = single,
            .journal_path = base::Cat(shared.config.Text("app.data_dir"), "/outcomes.log"),
            .paces = PacesOf(shared.config)}
    );
}

WorkPlane::~WorkPlane() {
    wakeable_sequencer_.With([](auto& sequencer) { sequencer = nullptr; });
    replay_runner_.reset();
}

}  // namespace opensend::app
