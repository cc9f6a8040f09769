#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/model/email_status.h"
#include "kernel/model/ids.h"
#include "kernel/queue/queue_store.h"

namespace opensend::emails {

/// A stored attachment; the bytes lie in the blob store under their SHA-256.
struct AttachmentRow {
    model::AttachmentId id;
    int64_t position = 0;
    std::string filename, content_type, content_id;
    int64_t size = 0;
    std::string status = "stored";  // stored, pending, failed
    std::optional<std::string> url;
    std::optional<std::string> blob_key;
};

struct RecipientRow {
    int64_t ordinal = 0;
    std::string address, match_key;
    std::string kind;  // to, cc, bcc
    model::EmailStatus status = model::EmailStatus::kQueued;
    int64_t attempts = 0;
    std::optional<std::string> suppression_reason, last_error_code, last_error_message;
    base::Time updated_at;
};

/// The message row. JSON texts are kept as stored: addresses
/// {"to":[],"cc":[],"bcc":[],"reply_to":[]}, tags [{"name","value"}], headers {"name":"value"}.
struct Email {
    model::EmailId id;
    model::TenantId tenant;
    model::EmailStatus status = model::EmailStatus::kQueued;
    std::string last_event = "queued";
    std::string message_id, from_text, from_domain, subject;
    std::string addresses = "{}", tags = "[]", headers = "{}";
    std::string stream = "transactional", entrance = "api", actor;
    int64_t recipient_count = 0;
    base::Time created_at;
    std::optional<base::Time> scheduled_at, sent_at, last_attempted_at, next_retry_at;
    int64_t retry_count = 0;
    std::optional<std::string> last_error_code, last_error_message;
};

/// Bodies, apart from the row: `blob_key` set means both lie in the blob store as JSON.
struct EmailContent {
    std::optional<std::string> html, text;
    std::optional<std::string> blob_key;
};

/// Everything that the acceptance transaction writes (SEND-04).
struct AcceptedEmail {
    Email email;
    EmailContent content;
    std::vector<RecipientRow> recipients;
    std::vector<AttachmentRow> attachments;
    std::vector<queue::QueueRow> queue;             // a scheduled message waits by its due_at
    std::optional<model::EventId> scheduled_event;  // set together with its data
    std::optional<std::string> scheduled_event_data;
};

}  // namespace opensend::emails
