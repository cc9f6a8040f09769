#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::webhooks {

/// What a delivery worker holds while it tries one delivery.
struct ClaimedDelivery {
    model::DeliveryId id;
    model::TenantId tenant;
    model::WebhookId webhook;
    model::EventId event;
    int64_t attempts = 0;  // finished ones
    base::Time created_at;
    int64_t fence = 0;
    bool failing = false;  // the endpoint's last attempt failed
    bool proven = false;   // the endpoint took something before
};

/// The result of one attempt (HOOK-24).
struct AttemptRecord {
    ClaimedDelivery delivery;
    base::Time started_at;
    int64_t duration_ms = 0;
    int64_t http_status = 0;
    std::optional<std::string> error;
    std::string remote_address, tls_version, url_host;
    std::string headers;      // of the answer, at most 4 KiB
    std::string response;     // first 1,000 characters, control characters escaped
    std::string next_status;  // success, pending, failed
    base::Time due_at;        // when pending
};

/// An event that has its place in the sequence.
struct SequencedEvent {
    model::EventId id;
    std::string type;
    std::string subject_id;
};

/// Deliveries across tenants, for the sequencer and the delivery worker.
class DeliveryStore {
public:
    /// One delivery per event to each enabled endpoint of the tenant that wants its type; a test
    /// event goes to the endpoint that it is about. Returns how many.
    static int64_t FanOut(
        db::Session& tx,
        const model::TenantId& tenant,
        std::span<const SequencedEvent> events,
        base::UuidSource& ids,
        base::Time now
    );
    /// Further deliveries of events to one endpoint, due now.
    static std::vector<model::DeliveryId> AddAll(
        db::Session& tx,
        const model::TenantId& tenant,
        const model::WebhookId& webhook,
        std::span<const model::EventId> events,
        base::UuidSource& ids,
        base::Time now
    );
    /// A number that no earlier claim had.
    static int64_t NextFence(db::Session& tx);
    /// Leases that ended, or those of others when `owner` is given: the attempt is repeated
    /// (HOOK-23). Returns how many.
    static int64_t ReleaseExpired(db::Session& tx, base::Time now, const std::string& owner);
    /// Gives a claim back untried.
    static void Unclaim(db::Session& tx, const ClaimedDelivery& delivery, base::Time due_at);
    /// Ends a claim whose endpoint takes nothing any more, without an attempt.
    static void Stop(db::Session& tx, const ClaimedDelivery& delivery);
    /// Moves the delivery and logs the attempt. False, with nothing changed: the lease was lost.
    static bool Record(db::Session& tx, const AttemptRecord& record, base::UuidSource& ids);
    /// Waiting deliveries behind an open circuit that were made before `oldest` become dead
    /// letters (HOOK-32).
    static int64_t ForgetStuck(db::Session& tx, base::Time oldest);
    struct EventBody {
        std::string type, data;
        base::Time created_at;
        int64_t sequence = 0;
    };
    static std::optional<EventBody> FindEvent(
        db::Session& session, const model::TenantId& tenant, const model::EventId& event
    );
};

/// How an endpoint has been doing since its last success (HOOK-31, HOOK-42).
struct EndpointHealth {
    int64_t failures = 0;  // in a row
    std::optional<base::Time> failing_since;
    bool proven = false;                     // it took something before
    std::optional<model::DeliveryId> probe;  // while the circuit is open: the one that is tried

    static constexpr int64_t kOpenAfter = 10;
    bool is_open() const { return failures >= kOpenAfter; }
};

/// An endpoint with something due.
struct EndpointTurn {
    model::TenantId tenant;
    model::WebhookId webhook;
    EndpointHealth health;
};

/// Which endpoints may not get a turn now.
struct TurnLimits {
    std::string full_tenants;     // ids one after the other
    std::string tired_tenants;    // their failing endpoints wait
    bool failing_allowed = true;  // failing endpoints of any tenant
};

/// One row per endpoint: when its next delivery is due, so that a turn costs the same whatever the
/// backlog. Its lock is taken before those of the endpoint's deliveries.
class EndpointQueue {
public:
    using Key = std::pair<model::TenantId, model::WebhookId>;

    static void Open(db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id);
    static void Close(db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id);
    /// Nothing is known about the endpoint's health any more, and it is due when its deliveries
    /// are.
    static void Reset(db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id);
    static std::optional<EndpointHealth> Lock(
        db::Session& tx, const model::TenantId& tenant, const model::WebhookId& id
    );
    /// The endpoints that are due longest, held until the transaction ends.
    static std::vector<EndpointTurn> Due(
        db::Session& tx, base::Time now, const TurnLimits& limits, int limit
    );
    /// How many deliveries of the endpoint are under way, in any process.
    static int64_t UnderWay(db::Session& tx, const EndpointTurn& turn);
    struct Claim {
        std::string owner;
        int64_t fence = 0;
        base::Time now, until;
    };
    /// At most `limit` due deliveries; with an open circuit only the probe, which is chosen here
    /// when there is none.
    static std::vector<ClaimedDelivery> Take(
        db::Session& tx, const EndpointTurn& turn, const Claim& claim, int64_t limit
    );
    /// Due when its next delivery is.
    static void Requeue(db::Session& tx, std::span<const Key> keys);
    /// Not due until an attempt of it ends.
    static void Park(db::Session& tx, std::span<const Key> keys);
    /// Something is due at `due`, unless the circuit is open.
    static void Bring(db::Session& tx, std::span<const Key> keys, base::Time due);
    static void Save(db::Session& tx, const Key& key, const EndpointHealth& health);
};

}  // namespace opensend::webhooks
