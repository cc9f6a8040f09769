#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/json/writer.h"
#include "kernel/model/delivery_outcome.h"
#include "kernel/model/ids.h"

namespace opensend::events {

/// What every email.* payload says about its message (REST 4.5).
struct EmailFacts {
    model::EmailId id;
    std::string message_id;
    base::Time created_at;
    std::string from;
    std::string to_json, cc_json;  // arrays of mailbox texts
    std::string subject;
    std::string tags_map_json;      // {"name":"value"}
    std::string headers_list_json;  // [{"name","value"}]
};

/// The bounce, delay or failure as the payloads name it (REST 4.3).
struct BounceWords {
    std::string type, sub_type, category, message;
};
BounceWords DescribeBounce(const model::DeliveryOutcome& outcome);

std::string SentData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view transport,
    std::string_view remote_id
);
std::string DeliveredData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view recipient,
    const model::DeliveryOutcome& outcome,
    base::Time now,
    base::Time started
);
std::string DelayedData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view recipient,
    const model::DeliveryOutcome& outcome,
    int64_t attempt,
    base::Time next_retry_at
);
std::string BouncedData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view recipient,
    const model::DeliveryOutcome& outcome,
    base::Time now
);
std::string ComplainedData(
    const EmailFacts& email, std::string_view status, std::string_view recipient, base::Time now
);
std::string FailedData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view recipient,
    std::string_view reason,
    std::string_view message
);
std::string SuppressedData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view recipient,
    std::string_view type,
    std::string_view reason,
    std::string_view suppression_id
);
/// `previous`: the time before a reschedule.
std::string ScheduledData(
    const EmailFacts& email,
    base::Time scheduled_at,
    int64_t recipient_count,
    std::optional<base::Time> previous = std::nullopt
);
std::string CanceledData(const EmailFacts& email, std::string_view status, std::string_view actor);

/// "smtp; 550 5.1.1 No such user".
std::string DiagnosticCode(const model::DeliveryOutcome& outcome);

}  // namespace opensend::events
