#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernel/db/page.h"
#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::webhooks {

/// An endpoint. Secrets are sealed texts; event types a JSON array of names or "*".
struct Webhook {
    model::WebhookId id;
    std::string endpoint;
    std::string event_types = "[]";
    std::string status = "enabled";
    std::optional<std::string> description;
    std::string signing_secret;
    std::optional<std::string> signing_secret_prev;
    std::optional<base::Time> prev_expires_at;
    std::optional<std::string> disabled_reason;
    base::Time updated_at;

    bool is_enabled() const { return status == "enabled"; }
};

class WebhookStore {
public:
    /// With a queue of its own.
    static void Insert(db::Session& tx, const model::TenantId& tenant, const Webhook& webhook);
    static std::optional<Webhook> Find(
        db::Session& session, const model::TenantId& tenant, const model::WebhookId& id
    );
    /// The same, held until the transaction ends.
    static std::optional<Webhook> Lock(
        db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id
    );
    static db::Page<Webhook> List(
        db::Session& session, const model::TenantId& tenant, const db::PageRequest& page
    );
    static int64_t Count(db::Session& session, const model::TenantId& tenant);
    /// Everything but the id.
    static void Save(db::Session& tx, const model::TenantId& tenant, const Webhook& webhook);
    /// True when it existed. Its waiting deliveries stop; attempts stay visible (HOOK-44).
    static bool Delete(db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id);
    /// Waiting deliveries become dead letters; what is under way comes to its end.
    static void StopDeliveries(
        db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id
    );
};

}  // namespace opensend::webhooks
