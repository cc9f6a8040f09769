#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/json/reader.h"
#include "kernel/mime/address.h"

namespace opensend::emails {

/// An attachment as it was asked for: bytes, or a URL that is fetched at dispatch.
struct RequestedAttachment {
    std::string filename, content_type, content_id;
    std::string content;  // decoded
    std::string url;      // empty: content is here
};

/// A valid send body (REST 2.1.1), before the semantic checks.
struct SendRequest {
    std::string path;  // what stands before the names of fields in problems: "" or "3" of a batch
    mime::Mailbox from;
    std::vector<mime::Mailbox> to, cc, bcc, reply_to;
    std::string subject;
    std::optional<std::string> html, text;
    std::vector<std::pair<std::string, std::string>> headers;
    std::optional<std::string> message_id;  // the caller's own, with angle brackets
    std::vector<RequestedAttachment> attachments;
    std::vector<std::pair<std::string, std::string>> tags;
    std::optional<base::Time> scheduled_at;
    std::string stream = "transactional";
    std::optional<std::string> template_ref;  // id or alias
    std::optional<std::string> topic;         // a UUID
    json::Problems attachment_problems;       // they answer after the sender's (REST 2.1.2)
};

struct ReadContext {
    base::Time now;
    std::string zone = "UTC";
    bool https_only = true;
    size_t max_attachment_b64_bytes = 41'943'040;
    /// Whether a URL may be fetched as far as its text says; empty: every one.
    std::function<bool(std::string_view url)> url_allowed{};
};

/// Reads one send body; every problem is collected under `prefix` ("" or "3" of a batch). Names of
/// unknown fields go to `ignored`.
SendRequest ReadSendRequest(
    json::Value body,
    const std::string& prefix,
    const ReadContext& context,
    bool strict,
    json::Problems& problems,
    std::vector<std::string>& ignored
);

/// REST 3.2.1 at a path; nullopt: absent, or a problem was added.
std::optional<base::Time> ReadScheduledAt(
    json::Value value, const std::string& path, const ReadContext& context, json::Problems& problems
);
/// REST 3.3: fills headers and message_id.
void ReadHeaders(json::ObjectReader& in, SendRequest& out);
/// REST 3.4. Problems go to out.attachment_problems.
void ReadAttachments(
    json::ObjectReader& in, const ReadContext& context, bool strict, SendRequest& out
);

}  // namespace opensend::emails
