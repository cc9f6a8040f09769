#pragma once

#include <functional>
#include <memory>
#include <span>

#include "kernel/api/filters.h"
#include "kernel/api/router.h"
#include "kernel/app/shared.h"
#include "kernel/base/embedded.h"
#include "kernel/http/server.h"
#include "kernel/listeners/api/health_api.h"
#include "kernel/listeners/api/openapi_api.h"
#include "kernel/resources/api_keys/api_keys_api.h"
#include "kernel/resources/domains/claims_api.h"
#include "kernel/resources/domains/domains_api.h"
#include "kernel/resources/emails/email_detail_api.h"
#include "kernel/resources/emails/emails_api.h"
#include "kernel/resources/event_log/event_log_api.h"
#include "kernel/resources/files/attachments_api.h"
#include "kernel/resources/files/files_api.h"
#include "kernel/resources/logs/logs_api.h"
#include "kernel/resources/logs/request_logger.h"
#include "kernel/resources/received/received_api.h"
#include "kernel/resources/suppressions/suppressions_api.h"
#include "kernel/resources/webhooks/webhooks_api.h"

namespace opensend::app {

/// What an accepted change sets in motion in this process; each may do nothing.
struct Wakes {
    std::function<void()> delivery, events, webhooks;
    std::function<void()> domains;  // a look-up of a domain
};

/// The files *.schema.json, for api::OpenApiText.
std::span<const base::EmbeddedFile> EmbeddedSchemas();

/// What the role `api` runs: the REST listener and every resource behind it.
class ApiPlane {
public:
    /// Binds the port; ready on return. Throws base::Error.
    ApiPlane(Shared& shared, health::HealthApi& health, Wakes wakes);
    uint16_t port() const { return server_->port(); }
    const api::Router& router() const { return router_; }
    void SetTrustedProxies(std::vector<base::Cidr> proxies) {
        filters_->SetTrustedProxies(std::move(proxies));
    }
    /// Reads the certificate files again; why not, when they cannot be used.
    std::optional<std::string> ReloadCertificate();
    void Stop(std::chrono::milliseconds grace) {
        event_log_api_->Close();
        server_->Stop(grace);
    }

private:
    void MakeEmails(Shared& shared, const Wakes& wakes);
    void MakeDomains(Shared& shared, Wakes& wakes);
    void Mount(Shared& shared, health::HealthApi& health);
    void Listen(Shared& shared);

    std::unique_ptr<emails::Acceptor> acceptor_;
    std::unique_ptr<domains::DomainFactory> domain_factory_;
    std::unique_ptr<domains::ApiDeps> domain_deps_;
    std::unique_ptr<domains::DomainsApi> domains_api_;
    std::unique_ptr<domains::ClaimsApi> claims_api_;
    std::unique_ptr<domains::LateAnswers> late_answers_;
    std::unique_ptr<api_keys::ApiKeysApi> api_keys_api_;
    std::unique_ptr<webhooks::WebhooksApi> webhooks_api_;
    std::unique_ptr<suppressions::SuppressionsApi> suppressions_api_;
    std::unique_ptr<event_log::EventLogApi> event_log_api_;
    std::unique_ptr<emails::EmailsApi> emails_api_;
    std::unique_ptr<emails::EmailDetailApi> email_detail_api_;
    std::unique_ptr<access::FileLinks> file_links_;
    std::unique_ptr<files::AttachmentsApi> attachments_api_;
    std::unique_ptr<files::FilesApi> files_api_;
    std::unique_ptr<received::ReceivedApi> received_api_;
    std::unique_ptr<logs::RequestLogger> request_logger_;
    std::unique_ptr<logs::LogsApi> logs_api_;
    health::OpenApiApi openapi_api_;
    api::Router router_;
    std::unique_ptr<api::Filters> filters_;
    std::unique_ptr<tls::Identity> identity_;
    std::unique_ptr<http::Server> server_;
};

}  // namespace opensend::app
