#include "kernel/app/api_plane.h"

#include <algorithm>
#include <filesystem>

#include "kernel/api/openapi.h"
#include "kernel/app/wiring.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"

namespace opensend::app {
namespace {

/// Where large request bodies wait; made when it is not there.
std::string SpoolFolder(const runtime::Config& config) {
    const std::string folder = base::Cat(config.Text("app.data_dir"), "/spool");
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (!error) {
        std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
    }
    if (error) {
        throw base::Unavailable(
            "service_unavailable", base::Cat("cannot use ", folder, ": ", error.message())
        );
    }
    return folder;
}

logs::RequestLogger::Capture CaptureOf(const runtime::Config& config) {
    const std::string capture = config.Text("logs.capture");
    if (capture == "off") return logs::RequestLogger::Capture::kOff;
    if (capture == "mutations") return logs::RequestLogger::Capture::kMutations;
    return logs::RequestLogger::Capture::kAll;
}

}  // namespace

ApiPlane::ApiPlane(Shared& shared, health::HealthApi& health, Wakes wakes) {
    MakeEmails(shared, wakes);
    MakeDomains(shared, wakes);
    api_keys_api_ = std::make_unique<api_keys::ApiKeysApi>(
        *shared.storage.pool, *shared.storage.instance_keys, shared.keys, shared.idempotency,
        shared.storage.ids, shared.storage.random
    );
    webhooks_api_ = std::make_unique<webhooks::WebhooksApi>(webhooks::WebhooksApi::Deps{
        *shared.storage.pool, shared.storage.keyring, *shared.guard, shared.idempotency,
        shared.storage.ids, shared.storage.random, wakes.events, wakes.webhooks});
    suppressions_api_ =
        std::make_unique<suppressions::SuppressionsApi>(suppressions::SuppressionsApi::Deps{
            *shared.storage.pool, shared.idempotency, shared.storage.ids, wakes.events});
    event_log_api_ = std::make_unique<event_log::EventLogApi>(
        *shared.storage.pool, shared.storage.clock, shared.sequenced
    );
    logs_api_ = std::make_unique<logs::LogsApi>(*shared.storage.pool);
    request_logger_ =
        std::make_unique<logs::RequestLogger>(*shared.storage.pool, CaptureOf(shared.config));
    Mount(shared, health);
    Listen(shared);
}

void ApiPlane::MakeEmails(Shared& shared, const Wakes& wakes) {
    acceptor_ = std::make_unique<emails::Acceptor>(
        *shared.storage.pool, shared.senders, shared.idempotency, *shared.blobs, shared.storage.ids,
        shared.storage.clock, wakes.delivery, emails::Acceptor::Options{}
    );
    emails_api_ = std::make_unique<emails::EmailsApi>(
        *shared.storage.pool, *acceptor_, shared.idempotency, *shared.rates, *shared.blobs,
        emails::EmailsApi::Options{
            shared.config.strict(),
            static_cast<size_t>(shared.config.Int("send.max_attachment_b64_bytes")),
            [&guard = *shared.guard](std::string_view url) { return guard.CheckUrl(url).ok(); }}
    );
    email_detail_api_ = std::make_unique<emails::EmailDetailApi>(emails::EmailDetailApi::Deps{
        *shared.storage.pool, shared.idempotency, shared.storage.ids,
        shared.config.Span("send.max_age"), wakes.delivery, wakes.events});
    file_links_ = std::make_unique<access::FileLinks>(
        *shared.storage.instance_keys, shared.config.Text("app.url"),
        shared.config.Span("blob.url_ttl")
    );
    attachments_api_ = std::make_unique<files::AttachmentsApi>(*shared.storage.pool, *file_links_);
    files_api_ =
        std::make_unique<files::FilesApi>(*shared.storage.pool, *shared.blobs, *file_links_);
    received_api_ =
        std::make_unique<received::ReceivedApi>(*shared.storage.pool, *shared.blobs, *file_links_);
}

void ApiPlane::MakeDomains(Shared& shared, Wakes& wakes) {
    domain_factory_ = std::make_unique<domains::DomainFactory>(
        shared.storage.keyring, shared.storage.random, shared.storage.ids
    );
    late_answers_ = std::make_unique<domains::LateAnswers>(shared.storage.clock);
    domain_deps_ = std::make_unique<domains::ApiDeps>(domains::ApiDeps{
        .pool = *shared.storage.pool,
        .factory = *domain_factory_,
        .senders = shared.senders,
        .idempotency = shared.idempotency,
        .ids = shared.storage.ids,
        .random = shared.storage.random,
        .clock = shared.storage.clock,
        .late_answers = *late_answers_,
        .catalog = RecordCatalogOf(shared.config),
        .own_hosts = OwnHosts(shared.config),
        .more_regions = shared.config.List("domains.regions"),
        .wake_checks = std::move(wakes.domains),
        .wake_events = wakes.events});
    domains_api_ = std::make_unique<domains::DomainsApi>(*domain_deps_);
    claims_api_ = std::make_unique<domains::ClaimsApi>(*domain_deps_);
}

std::optional<std::string> ApiPlane::ReloadCertificate() {
    if (!identity_) return std::nullopt;
    const auto loaded = identity_->Reload();
    return loaded.ok() ? std::nullopt : std::optional(loaded.error());
}

void ApiPlane::Mount(Shared& shared, health::HealthApi& health) {
    // The mount list: one line per resource.
    emails_api_->Mount(router_);
    email_detail_api_->Mount(router_);
    attachments_api_->Mount(router_);
    files_api_->Mount(router_);
    received_api_->Mount(router_);
    domains_api_->Mount(router_);
    claims_api_->Mount(router_);
    api_keys_api_->Mount(router_);
    webhooks_api_->Mount(router_);
    suppressions_api_->Mount(router_);
    event_log_api_->Mount(router_);
    logs_api_->Mount(router_);
    health.Mount(router_);
    openapi_api_.Mount(router_);
    openapi_api_.Publish(
        api::OpenApiText(router_.routes(), EmbeddedSchemas(), shared.config.Text("app.url"))
    );
}

void ApiPlane::Listen(Shared& shared) {
    const auto trusted = CidrsOf(shared.config.List("net.trusted_proxies"));
    filters_ = std::make_unique<api::Filters>(
        router_, *shared.access, *shared.rates, shared.storage.ids, shared.storage.random,
        shared.storage.clock,
        api::Filters::Options{
            .listener = "api",
            .trusted_proxies = trusted,
            .https = shared.config.Text("app.url").rfind("https://", 0) == 0,
            .record = [this](api::RequestRecord record
                      ) { request_logger_->Record(std::move(record)); }}
    );
    http::ServerOptions options;
    options.name = "api";
    options.bind = shared.config.List("api.bind");
    options.port = static_cast<uint16_t>(shared.config.Int("api.port"));
    options.max_connections = static_cast<size_t>(shared.config.Int("http.max_connections"));
    options.max_connections_per_address =
        static_cast<size_t>(shared.config.Int("http.max_connections_per_address"));
    options.uncapped_peers = trusted;
    if (const std::string cert = shared.config.Text("api.tls_cert"); !cert.empty()) {
        identity_ = std::make_unique<tls::Identity>(
            cert, shared.config.Text("api.tls_key"), shared.storage.clock
        );
        options.identity = identity_.get();
    }
    options.spool.folder = SpoolFolder(shared.config);
    server_ = std::make_unique<http::Server>(
        options, [this](const http::Request& head) { return filters_->OnHead(head); },
        [this](http::Request&& request, http::Reply reply) {
            filters_->OnRequest(std::move(request), std::move(reply));
        },
        [this](int status, std::string_view code, std::string_view reason) {
            return filters_->OnFramingError(status, code, reason);
        }
    );
}

}  // namespace opensend::app
