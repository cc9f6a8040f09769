#include "kernel/events/payload.h"

#include "kernel/base/text.h"

namespace opensend::events {
namespace {

/// Opens the object with the members that every payload has; `recipient` empty: null.
json::Writer Begin(const EmailFacts& email, std::string_view status, std::string_view recipient) {
    json::Writer out;
    out.BeginObject()
        .Field("email_id", email.id.ToString())
        .Field("message_id", email.message_id)
        .Field("created_at", email.created_at)
        .Field("from", email.from)
        .RawField("to", email.to_json)
        .RawField("cc", email.cc_json)
        .Field("subject", email.subject)
        .RawField("tags", email.tags_map_json)
        .RawField("headers", email.headers_list_json)
        .Field("status", status);
    if (recipient.empty()) {
        out.NullField("recipient");
    } else {
        out.Field("recipient", recipient);
    }
    return out;
}

std::string End(json::Writer& out) {
    out.EndObject();
    return out.Take();
}

void Diagnostics(json::Writer& out, const model::DeliveryOutcome& outcome) {
    out.Key("diagnosticCode").BeginArray();
    if (const std::string code = DiagnosticCode(outcome); !code.empty()) out.String(code);
    out.EndArray();
}

struct BounceRow {
    std::string_view enhanced;
    std::string_view sub_type;
    std::string_view message;
};
constexpr BounceRow kBounces[] = {
    {"5.1.1",  "NoEmail",            "The recipient's server says the mailbox does not exist."},
    {"5.1.2",  "NoEmail",            "The recipient's domain does not exist."                 },
    {"5.1.6",  "NoEmail",            "The mailbox has moved."                                 },
    {"5.1.10", "NoEmail",            "The recipient's domain takes no mail."                  },
    {"5.2.2",  "MailboxFull",        "The recipient's mailbox is full."                       },
    {"4.2.2",  "MailboxFull",        "The recipient's mailbox is full."                       },
    {"5.3.4",  "MessageTooLarge",    "The message is too large for the recipient's server."   },
    {"5.2.3",  "MessageTooLarge",    "The message is too large for the recipient."            },
    {"5.6.0",  "ContentRejected",    "The recipient's server refuses this content."           },
    {"5.7.0",  "AttachmentRejected",
     "The recipient's server refuses an attachment or this content."                          },
};

}  // namespace

std::string DiagnosticCode(const model::DeliveryOutcome& outcome) {
    if (outcome.smtp_code == 0 && outcome.diagnostic.empty()) return {};
    // The diagnostic of an SMTP peer begins with its own code already.
    if (outcome.smtp_code == 0) return outcome.diagnostic;
    if (outcome.diagnostic.rfind(base::Cat(outcome.smtp_code), 0) == 0) {
        return base::Cat("smtp; ", outcome.diagnostic);
    }
    std::string out = base::Cat("smtp; ", outcome.smtp_code);
    if (!outcome.enhanced_code.empty()) out += base::Cat(' ', outcome.enhanced_code);
    if (!outcome.diagnostic.empty()) out += base::Cat(' ', outcome.diagnostic);
    return out;
}

BounceWords DescribeBounce(const model::DeliveryOutcome& outcome) {
    BounceWords words{"Permanent", "General", "recipient", "The recipient's server refused it."};
    for (const auto& row : kBounces) {
        if (row.enhanced == outcome.enhanced_code) {
            words.sub_type = row.sub_type;
            words.message = row.message;
        }
    }
    if (!outcome.bounce_sub_type.empty()) words.sub_type = outcome.bounce_sub_type;
    using model::ResultClass;
    if (outcome.result == ResultClass::kPermContent) {
        words.category = "content";
        if (words.sub_type == "General") words.sub_type = "ContentRejected";
    } else if (outcome.result == ResultClass::kPermReputation) {
        words.category = "reputation";
    } else if (outcome.result != ResultClass::kPermRecipient) {
        words.category = "infrastructure";
        words.type = "Transient";
    }
    return words;
}

std::string SentData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view transport,
    std::string_view remote_id
) {
    json::Writer out = Begin(email, status, {});
    out.Field("transport", transport);
    out.Field(
        "provider_message_id",
        remote_id.empty() ? std::nullopt : std::optional<std::string>(remote_id)
    );
    return End(out);
}

std::string DeliveredData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view recipient,
    const model::DeliveryOutcome& outcome,
    base::Time now,
    base::Time started
) {
    json::Writer out = Begin(email, status, recipient);
    out.Key("delivery").BeginObject().Field("timestamp", now);
    out.Field("smtpResponse", outcome.diagnostic);
    out.Field("reportingMTA", outcome.remote_host);
    out.Field("processingTimeMillis", std::max<int64_t>((now - started).count() / 1000, 0));
    out.EndObject();
    return End(out);
}

std::string DelayedData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view recipient,
    const model::DeliveryOutcome& outcome,
    int64_t attempt,
    base::Time next_retry_at
) {
    json::Writer out = Begin(email, status, recipient);
    const BounceWords words = DescribeBounce(outcome);
    out.Key("delay").BeginObject().Field("reason", words.sub_type).Field("attempt", attempt);
    out.Field("next_retry_at", next_retry_at);
    Diagnostics(out, outcome);
    out.EndObject();
    return End(out);
}

std::string BouncedData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view recipient,
    const model::DeliveryOutcome& outcome,
    base::Time now
) {
    json::Writer out = Begin(email, status, recipient);
    const BounceWords words = DescribeBounce(outcome);
    out.Key("bounce").BeginObject().Field("type", words.type).Field("subType", words.sub_type);
    out.Field("message", words.message);
    Diagnostics(out, outcome);
    out.Field("category", words.category).Field("smtp_code", outcome.smtp_code);
    out.Field("enhanced_code", outcome.enhanced_code).Field("timestamp", now).EndObject();
    return End(out);
}

std::string ComplainedData(
    const EmailFacts& email, std::string_view status, std::string_view recipient, base::Time now
) {
    json::Writer out = Begin(email, status, recipient);
    out.Key("complaint").BeginObject().Field("feedback_type", "abuse");
    out.NullField("user_agent").Field("timestamp", now).EndObject();
    return End(out);
}

std::string FailedData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view recipient,
    std::string_view reason,
    std::string_view message
) {
    json::Writer out = Begin(email, status, recipient);
    out.Key("failed").BeginObject().Field("reason", reason).Field("message", message).EndObject();
    return End(out);
}

std::string SuppressedData(
    const EmailFacts& email,
    std::string_view status,
    std::string_view recipient,
    std::string_view type,
    std::string_view reason,
    std::string_view suppression_id
) {
    json::Writer out = Begin(email, status, recipient);
    out.Key("suppressed").BeginObject().Field("type", type).Field("reason", reason);
    out.Field("message", "The address is on the suppression list.");
    out.Key("diagnosticCode").BeginArray().EndArray();
    out.Field(
        "suppression_id",
        suppression_id.empty() ? std::nullopt : std::optional<std::string>(suppression_id)
    );
    out.EndObject();
    return End(out);
}

std::string ScheduledData(
    const EmailFacts& email,
    base::Time scheduled_at,
    int64_t recipient_count,
    std::optional<base::Time> previous
) {
    json::Writer out = Begin(email, "scheduled", {});
    out.Field("scheduled_at", scheduled_at).Field("previous_scheduled_at", previous);
    out.Field("rescheduled", previous.has_value()).Field("recipient_count", recipient_count);
    return End(out);
}

std::string CanceledData(const EmailFacts& email, std::string_view status, std::string_view actor) {
    json::Writer out = Begin(email, status, {});
    out.Key("canceled").BeginObject().Field("actor", actor).NullField("reason").EndObject();
    return End(out);
}

}  // namespace opensend::events
