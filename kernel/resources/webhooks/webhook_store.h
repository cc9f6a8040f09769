#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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
};

/// Newest attempts as `recent_deliveries` shows them.
struct RecentDelivery {
    model::DeliveryId id;
    model::EventId event;
    std::string event_type;
    std::string status;
    int64_t attempt = 0;
    int64_t status_code = 0;
    std::string response_body;
    std::optional<base::Time> attempted_at, next_retry_at;
};

class WebhookStore {
public:
    static void Insert(db::Session& tx, const model::TenantId& tenant, const Webhook& webhook);
    static std::optional<Webhook> Find(
        db::Session& session, const model::TenantId& tenant, const model::WebhookId& id
    );
    static db::Page<Webhook> List(
        db::Session& session, const model::TenantId& tenant, const db::PageRequest& page
    );
    static int64_t Count(db::Session& session, const model::TenantId& tenant);
    /// True when it existed. Its waiting deliveries stop; attempts stay visible (HOOK-44).
    static bool Delete(db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id);
    static std::vector<RecentDelivery> Recent(
        db::Session& session, const model::TenantId& tenant, const model::WebhookId& id
    );
};

/// What a delivery worker holds while it tries one delivery.
struct ClaimedDelivery {
    model::DeliveryId id;
    model::TenantId tenant;
    model::WebhookId webhook;
    model::EventId event;
    int64_t attempts = 0;  // finished ones
    base::Time created_at;
    int64_t fence = 0;
};

/// The result of one attempt (HOOK-24).
struct AttemptRecord {
    ClaimedDelivery delivery;
    base::Time started_at;
    int64_t duration_ms = 0;
    int64_t http_status = 0;
    std::optional<std::string> error;
    std::string remote_address;
    std::string response;     // first 1,000 characters, control characters escaped
    std::string next_status;  // success, pending, failed
    base::Time due_at;        // when pending
};

/// Deliveries across tenants, for the sequencer and the delivery worker.
class DeliveryStore {
public:
    /// One delivery per enabled endpoint of the tenant that wants the type.
    static int64_t FanOut(
        db::Session& tx,
        const model::TenantId& tenant,
        const model::EventId& event,
        std::string_view type,
        base::UuidSource& ids,
        base::Time now
    );
    static std::vector<ClaimedDelivery> Claim(
        db::Session& tx, const std::string& owner, base::Time now, base::Time until, int limit
    );
    /// Leases that ended: the attempt is repeated (HOOK-23). Returns how many.
    static int64_t ReleaseExpired(db::Session& tx, base::Time now, const std::string& other_than);
    /// Gives a claim back untried.
    static void Unclaim(db::Session& tx, const ClaimedDelivery& delivery, base::Time due_at);
    static void Record(db::Session& tx, const AttemptRecord& record, base::UuidSource& ids);
    struct EventBody {
        std::string type, data;
        base::Time created_at;
        int64_t sequence = 0;
    };
    static std::optional<EventBody> FindEvent(
        db::Session& session, const model::TenantId& tenant, const model::EventId& event
    );
};

}  // namespace opensend::webhooks
