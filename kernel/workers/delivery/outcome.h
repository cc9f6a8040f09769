#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/model/delivery_outcome.h"
#include "kernel/model/email_status.h"
#include "kernel/model/event_type.h"
#include "kernel/workers/delivery/claimed_mail.h"
#include "kernel/workers/delivery/route_memory.h"

namespace opensend::delivery {

/// One move of a recipient with its public event.
struct Step {
    model::EmailStatus to = model::EmailStatus::kQueued;
    std::string reason;  // for the history
    std::optional<model::EventType> event;
    std::string dedupe;  // of the event: a second one with it is not written
    /// Payload for the message state after the move.
    std::function<std::string(std::string_view status)> data;
};

/// What is to be written about one claimed recipient.
struct Outcome {
    std::shared_ptr<ClaimedRecipient> work;
    std::vector<Step> steps;
    /// Set when a transport was called: ends the attempt row.
    std::optional<model::DeliveryOutcome> attempt;
    /// The row goes back to the queue as work->row says, with this reason; nullopt: it is finished.
    std::optional<std::string> release_reason;
    bool counts_as_retry = false;
    bool suppress = false;  // a hard bounce: the address goes on the tenant's list
    std::string suppression_origin = "bounce", suppression_reason = "bounced";
    std::optional<std::string> shown_suppression_reason;  // recipients.suppression_reason
    std::string error_code, error_message;
};

/// Policy of retries and unknown outcomes.
struct DeliveryPolicy {
    enum class Unknown { kRetry = 1, kHold, kAssumeSent };
    base::Duration max_age{std::chrono::hours(48)};
    base::Duration unknown_wait{std::chrono::minutes(10)};
    Unknown unknown = Unknown::kRetry;
    int64_t max_config_tries = 8;  // auth_config and protocol end after so many
};

/// From the verdict of a transport to what is written (platform.md 9.3, 9.5). Changes work->row for
/// a release. Pure but for `random01`, the jitter. `has_fresh` tells whether the group has another
/// member than a RouteMemory avoids: then what another one may take goes there at once (SEND-22).
Outcome FromTransport(
    std::shared_ptr<ClaimedRecipient> work,
    const model::DeliveryOutcome& result,
    const DeliveryPolicy& policy,
    base::Time now,
    double random01,
    const std::function<bool(const RouteMemory&)>& has_fresh = {}
);

/// Ends before any transport: on the suppression list; refused; too old.
Outcome Suppressed(
    std::shared_ptr<ClaimedRecipient> work,
    std::string_view type,
    std::string_view reason,
    std::string_view suppression_id
);
Outcome Failed(
    std::shared_ptr<ClaimedRecipient> work, std::string_view reason, std::string_view message
);
Outcome Expired(std::shared_ptr<ClaimedRecipient> work);
/// Back to the queue without a move: nothing was tried. Due again after `delay`.
Outcome NotNow(
    std::shared_ptr<ClaimedRecipient> work,
    std::string_view reason,
    base::Time now,
    base::Duration delay
);
/// The wait for evidence of an unknown outcome ended: policies hold and assume_sent.
Outcome ResolveUnknown(std::shared_ptr<ClaimedRecipient> work, const DeliveryPolicy& policy);
/// REST 3.7. A delayed one comes back 5 s later and is then delivered.
Outcome Simulate(std::shared_ptr<ClaimedRecipient> work, base::Time now);

}  // namespace opensend::delivery
