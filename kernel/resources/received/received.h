#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/model/ids.h"

namespace opensend::received {

using ReceivedId = base::Id<struct ReceivedTag>;

/// One envelope recipient of the tenant and where its route led.
struct RouteDecision {
    std::string address, match_key;
    std::string status = "unrouteable";  // exact, alias, catch_all, unrouteable
    std::optional<model::DomainId> domain;
    std::optional<std::string> route_id, route_type, target_address;
    std::string local_part;
};

struct ReceivedAttachment {
    model::AttachmentId id;
    std::string filename, content_type, content_id;
    std::string disposition = "attachment";
    int64_t size = 0;
    std::string blob_key;
};

/// A message that came in (platform.md INB-26), without bodies. JSON texts are kept as stored:
/// addresses {"to":[],"cc":[],"bcc":[],"reply_to":[]}, headers [{"name","value"}] in their order.
struct ReceivedEmail {
    ReceivedId id;
    model::TenantId tenant;
    base::Time created_at;
    std::string message_id, from_text;
    std::string from_key;  // comparison key of the From address; empty: none could be read
    std::string addresses = "{}";
    std::string subject;
    std::optional<base::Time> sent_at;  // the Date header
    std::string in_reply_to;
    std::string references = "[]";
    std::string headers = "[]";
    std::optional<std::string> raw_blob_key;  // absent: the operator keeps no raw mail
    int64_t size = 0;
    std::string content_hash;
    std::optional<std::string> envelope_from, spf, dkim, dmarc;
    bool spam = false, dmarc_fail = false;
    std::string defects = "[]";
    std::string provider, provider_event_id;
    std::string reply_match_status = "unmatched";
    std::optional<std::string> thread_id, reply_to_email_id, contact_id;
    std::vector<RouteDecision> decisions;
    std::vector<ReceivedAttachment> attachments;
};

/// Bodies, apart from the message: `blob_key` set means both lie in the blob store as JSON.
struct ReceivedContent {
    std::optional<std::string> html, text;
    std::optional<std::string> blob_key;
};

}  // namespace opensend::received
