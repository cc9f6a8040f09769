#pragma once

#include <optional>
#include <string>

#include "kernel/db/page.h"
#include "kernel/json/writer.h"
#include "kernel/resources/emails/email.h"

namespace opensend::emails {

/// One transition of a message or of one of its recipients, with the public event it made.
struct HistoryRow {
    model::EventId id;                     // of the event, where there is one
    std::optional<std::string> recipient;  // address; absent: the message as a whole
    base::Time created_at;
    std::optional<std::string> from_status;
    std::string to_status, actor;
    std::optional<std::string> reason;
    bool ignored = false;         // arrived too late: changed nothing
    std::string details = "{}";   // flat JSON object
    std::string event_type = "";  // of the public event
    std::string payload = "{}";   // its data
};

class EmailHistory {
public:
    /// Oldest first; `after` and `before` are ids of rows as 36 characters.
    static db::Page<HistoryRow> List(
        db::Session& session,
        const model::TenantId& tenant,
        const model::EmailId& email,
        const db::PageRequest& page
    );
};

/// An `email_event` of REST 2.1.6.
void WriteHistoryItem(json::Writer& out, const HistoryRow& row);

}  // namespace opensend::emails
