#include "kernel/resources/emails/email_history.h"

#include <algorithm>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/json/value.h"

namespace opensend::emails {
namespace {

#define OPENSEND_HISTORY_SELECT                                                                \
    "SELECT COALESCE(h.event_id, h.id), r.address, h.created_at, h.from_status, h.to_status, " \
    "h.actor, h.reason, h.ignored, h.details, v.type, v.data FROM email_history h "            \
    "LEFT JOIN recipients r ON r.email_id = h.email_id AND r.ordinal = h.ordinal "             \
    "AND r.org_id = h.org_id LEFT JOIN events v ON v.id = h.event_id AND v.org_id = h.org_id " \
    "WHERE h.org_id = $1 AND h.email_id = $2 "

constexpr db::Query kHistoryNewer{
    "emails.history_newer", OPENSEND_HISTORY_SELECT
    "AND COALESCE(h.event_id, h.id) > $3 ORDER BY COALESCE(h.event_id, h.id) LIMIT $4"};
constexpr db::Query kHistoryOlder{
    "emails.history_older", OPENSEND_HISTORY_SELECT
    "AND COALESCE(h.event_id, h.id) < $3 ORDER BY COALESCE(h.event_id, h.id) DESC LIMIT $4"};

constexpr size_t kMaxDetail = 180;

/// How a state is told when no public event says it.
struct StateRow {
    std::string_view status, type, summary;
};
constexpr StateRow kStates[] = {
    {"scheduled",  "email.scheduled",        "Scheduled for later"               },
    {"queued",     "email.queued",           "Waiting to be sent"                },
    {"held",       "email.held",             "Held back"                         },
    {"sending",    "email.processing",       "Taken by a worker"                 },
    {"unknown",    "email.unknown",          "Handed over, but without an answer"},
    {"deferred",   "email.delivery_delayed", "Waiting for another try"           },
    {"sent",       "email.sent",             "Handed to the transport"           },
    {"delivered",  "email.delivered",        "Taken by the recipient's server"   },
    {"bounced",    "email.bounced",          "Refused for good"                  },
    {"complained", "email.complained",       "Reported as unwanted"              },
    {"failed",     "email.failed",           "Could not be sent"                 },
    {"suppressed", "email.suppressed",       "Not sent: the address is blocked"  },
    {"canceled",   "email.canceled",         "Canceled"                          },
    {"expired",    "email.failed",           "Not sent in time"                  },
};

const StateRow& StateOf(std::string_view status) {
    const auto* found = std::find_if(std::begin(kStates), std::end(kStates), [&](const auto& row) {
        return row.status == status;
    });
    return found == std::end(kStates) ? kStates[1] : *found;
}

std::string SummaryOf(const HistoryRow& row, const json::Value& details) {
    if (row.from_status == "accepted" && row.to_status == "queued") return "Accepted for sending";
    if (row.from_status == "accepted") return "Accepted and scheduled";
    if (row.from_status == "scheduled" && row.to_status == "scheduled") return "Given another time";
    const json::Value transport = details.Find("transport");
    std::string summary(StateOf(row.to_status).summary);
    if (row.to_status == "sent" && transport.IsString()) {
        summary = base::Cat("Handed to transport ", transport.AsString());
    }
    if (row.ignored) summary += " (too late to count)";
    return summary;
}

/// Events about the message as a whole name no recipient.
bool IsAboutMessage(std::string_view type) {
    return type == "email.sent" || type == "email.scheduled" || type == "email.canceled";
}

}  // namespace

db::Page<HistoryRow> EmailHistory::List(
    db::Session& session,
    const model::TenantId& tenant,
    const model::EmailId& email,
    const db::PageRequest& page
) {
    const bool older = page.backwards();
    const std::string cursor = older ? *page.before : page.after.value_or("");
    std::vector<HistoryRow> rows;
    for (const db::Row& row : session.Execute(
             older ? kHistoryOlder : kHistoryNewer, {tenant, email, cursor, page.fetch()}
         )) {
        HistoryRow item;
        item.id = row.Id<model::EventId>(0);
        item.recipient = row.OptionalText(1);
        item.created_at = row.Time(2);
        item.from_status = row.OptionalText(3);
        item.to_status = row.Text(4);
        item.actor = row.Text(5);
        item.reason = row.OptionalText(6);
        item.ignored = row.Bool(7);
        item.details = row.Text(8);
        item.event_type = row.OptionalText(9).value_or("");
        item.payload = row.OptionalText(10).value_or("{}");
        rows.push_back(std::move(item));
    }
    return db::TrimPage(std::move(rows), page);
}

void WriteHistoryItem(json::Writer& out, const HistoryRow& row) {
    const auto details = json::Document::Parse(row.details);
    const json::Value known = details.ok() ? details->root() : json::Value();
    out.BeginObject().Field("object", "email_event").Field("id", model::MessageIdOf(row.id));
    out.Field(
        "type", row.event_type.empty() ? std::string(StateOf(row.to_status).type) : row.event_type
    );
    out.Field("created_at", row.created_at);
    out.Field("recipient", IsAboutMessage(row.event_type) ? std::nullopt : row.recipient);
    out.Field("from_status", row.from_status).Field("to_status", row.to_status);
    out.Field("actor", row.actor);
    out.Field("reason", row.reason && !row.reason->empty() ? row.reason : std::nullopt);
    out.Field("summary", SummaryOf(row, known));
    out.Key("details").BeginObject();
    for (size_t i = 0; known.IsObject() && i < known.size(); ++i) {
        const json::Value value = known.MemberAt(i);
        if (value.IsString()) {
            out.Field(known.NameAt(i), base::TruncateUtf8(value.AsString(), kMaxDetail));
        } else if (value.IsInt()) {
            out.Field(known.NameAt(i), value.AsInt());
        } else if (value.IsBool()) {
            out.Field(known.NameAt(i), value.AsBool());
        }
    }
    if (row.ignored) out.Field("ignored", true);
    out.EndObject().RawField("payload", row.payload).EndObject();
}

}  // namespace opensend::emails
