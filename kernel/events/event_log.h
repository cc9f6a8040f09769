#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/db/session.h"
#include "kernel/model/event_type.h"
#include "kernel/model/ids.h"

namespace opensend::events {

/// One public event as it is written with its cause (HOOK-01).
struct Event {
    model::EventId id;
    model::TenantId tenant;
    model::EventType type = model::EventType::kEmailSent;
    base::Time time;
    std::string subject_id;  // id of the object it is about
    std::string data;        // JSON object, stored and sent exactly so
    std::string dedupe_key;  // unique per tenant: a second event with it is not written
};

/// The outbox: an event becomes durable with the caller's other changes, gets its place in the
/// tenant's sequence and its webhook deliveries from the sequencer afterwards.
/// True when the event was written, false when its dedupe key existed.
bool Append(db::Session& tx, const Event& event);
/// The same for many, in order and in few round trips.
void AppendAll(db::Session& tx, const std::vector<Event>& events);

/// The webhook and event-log envelope (REST 4.4), members in the order that is signed.
std::string Envelope(
    const model::EventId& id,
    std::string_view type,
    base::Time created_at,
    int64_t sequence,
    std::string_view data
);

}  // namespace opensend::events
