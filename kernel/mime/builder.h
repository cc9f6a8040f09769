#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/mime/address.h"

namespace opensend::mime {

struct Attachment {
    std::string filename;
    std::string content_type;  // type/subtype, may carry parameters
    std::string content_id;    // empty: attachment; else inline in multipart/related
    std::string content;       // decoded bytes
};

/// Everything that is equal on every copy of a message; values were validated at accept.
struct Message {
    std::string message_id;  // with angle brackets
    base::Time date;
    Mailbox from;
    std::vector<Mailbox> to, cc, reply_to;
    std::string subject;
    std::vector<std::pair<std::string, std::string>> headers;  // the caller's, in order
    std::optional<std::string> text;  // absent: generated from html when that exists; "" none
    std::optional<std::string> html;
    std::vector<Attachment> attachments;
};

/// What differs per copy.
struct Copy {
    std::string opensend_id;    // value of X-OpenSend-ID; empty: header left out
    std::string feedback_id;    // value of Feedback-ID; empty: left out
    std::string boundary_seed;  // MIME-05: message id and ordinal
    bool smtputf8 = false;      // headers may be UTF-8 (RFC 6532)
};

/// RFC 5322 octets of one copy: CRLF only, MIME-01…09, 12. Equal input gives equal bytes.
/// CR, LF or NUL in any header value is a broken invariant: the caller has refused them.
std::string Build(const Message& message, const Copy& copy);

/// An estimate, never below the true size, for the 40 MiB rule without building.
size_t EncodedSizeBound(const Message& message);

/// Plain text from HTML for MIME-12: links as "text (url)", entities decoded, blocks on lines of
/// their own.
std::string HtmlToText(std::string_view html);

}  // namespace opensend::mime
