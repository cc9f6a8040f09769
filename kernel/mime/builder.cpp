#include "kernel/mime/builder.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/base/utf8.h"
#include "kernel/crypto/digest.h"
#include "kernel/mime/wire_format.h"

namespace opensend::mime {

namespace {

constexpr std::string_view kBoundaryStart = "=_os_";
constexpr std::string_view kOctetStream = "application/octet-stream";

/// Levels of nesting that the boundary depends on.
enum class Level { kMixed = 1, kRelated, kAlternative };

// Written by the builder itself, by transports, or only meant for the accepting side.
constexpr std::string_view kOwnHeaders[] = {
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "return-path",
    "received",
    "delivered-to",
    "feedback-id",
    "x-entity-id",
    "dkim-signature",
    "authentication-results",
    "x-idempotency-key",
    "resend-idempotency-key",
};
constexpr std::string_view kOwnPrefixes[] = {
    "content-", "x-ses-", "x-opensend-", "arc-", "resent-",
};
// Fields whose grammar knows no encoded words.
constexpr std::string_view kStructuredHeaders[] = {
    "in-reply-to", "references", "precedence", "auto-submitted",
    "x-priority",  "importance", "priority",   "x-entity-ref-id",
};

bool IsOwnHeader(std::string_view lower) {
    if (std::find(std::begin(kOwnHeaders), std::end(kOwnHeaders), lower) != std::end(kOwnHeaders)) {
        return true;
    }
    return std::any_of(
        std::begin(kOwnPrefixes), std::end(kOwnPrefixes),
        [&](std::string_view prefix) { return lower.starts_with(prefix); }
    );
}

bool IsListHeader(std::string_view lower) { return lower.starts_with("list-"); }

bool IsStructuredHeader(std::string_view lower) {
    return IsListHeader(lower) ||
           std::find(std::begin(kStructuredHeaders), std::end(kStructuredHeaders), lower) !=
               std::end(kStructuredHeaders);
}

/// A text part ready to be written: line ends and encoding are settled.
struct TextBody {
    std::string_view subtype;
    std::string_view text;
    std::string normalized;  // holds `text` when the original could not be used
    TransferEncoding encoding = TransferEncoding::k7bit;
};

void SetText(TextBody& body, std::string_view text) {
    const TextShape shape = ShapeOf(text);
    body.encoding = shape.encoding;
    body.text = text;
    if (shape.is_crlf || shape.encoding == TransferEncoding::kQuotedPrintable) return;
    body.normalized = NormalizeLines(text);
    body.text = body.normalized;
}

bool IsTypeName(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c > ' ' && c < 127 &&
               std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
    });
}

/// How an attachment is labelled and encoded.
struct AttachmentForm {
    std::string_view type;  // of the attachment, or a literal
    TransferEncoding encoding = TransferEncoding::kBase64;
};

AttachmentForm FormOf(const Attachment& attachment) {
    auto type = base::Trim(attachment.content_type);
    while (!type.empty() && (type.back() == ';' || type.back() == ' ')) type.remove_suffix(1);
    const auto bare = base::Trim(type.substr(0, type.find(';')));
    const auto slash = bare.find('/');
    const bool is_type = slash != std::string_view::npos && IsTypeName(bare.substr(0, slash)) &&
                         IsTypeName(bare.substr(slash + 1));
    if (!is_type || bare.size() > 200) return {kOctetStream};
    // Neither may be base64: a reader would look for parts or a message inside.
    if (base::StartsWithIgnoreCase(bare, "multipart/")) return {kOctetStream};
    const bool is_header = base::IsAscii(type) && !base::HasControl(type) && type.size() <= 800;
    const auto label = is_header ? type : bare;
    if (!base::StartsWithIgnoreCase(bare, "message/")) return {label};
    if (!IsClean7bit(attachment.content)) return {kOctetStream};
    return {label, TransferEncoding::k7bit};
}

class CopyBuilder {
public:
    CopyBuilder(const Message& message, const Copy& copy)
        : message_(message), copy_(copy), headers_(out_, copy.smtputf8) {
        out_.reserve(EncodedSizeBound(message));
        for (const auto& attachment : message.attachments) {
            (attachment.content_id.empty() ? attached_ : inline_).push_back(&attachment);
        }
        plain_.subtype = "plain";
        html_.subtype = "html";
        if (message.html) SetText(html_, *message.html);
        has_html_ = message.html.has_value();
        if (message.text) {
            has_plain_ = !message.text->empty() || !has_html_;
            SetText(plain_, *message.text);
        } else {
            has_plain_ = true;
            generated_ = has_html_ ? HtmlToText(*message.html) : std::string();
            SetText(plain_, generated_);
        }
    }

    std::string Build() && {
        FieldsOfCaller();
        headers_.Structured("MIME-Version", "1.0");
        is_single_ = attached_.empty() && inline_.empty() && !(has_plain_ && has_html_);
        Mixed();
        return std::move(out_);
    }

private:
    void FieldsOfCaller() {
        headers_.Structured("Message-ID", message_.message_id);
        headers_.Structured("Date", base::FormatRfc5322(message_.date));
        headers_.Address("From", message_.from);
        headers_.Addresses("To", message_.to);
        headers_.Addresses("Cc", message_.cc);
        headers_.Addresses("Reply-To", message_.reply_to);
        headers_.Text("Subject", message_.subject);
        for (const bool list_fields : {false, true}) {
            for (const auto& [name, value] : message_.headers) {
                const std::string lower = base::AsciiLower(name);
                if (IsListHeader(lower) == list_fields) CustomField(name, lower, value);
            }
        }
        if (!copy_.feedback_id.empty()) headers_.Structured("Feedback-ID", copy_.feedback_id);
        if (!copy_.opensend_id.empty()) headers_.Structured("X-OpenSend-ID", copy_.opensend_id);
    }

    void CustomField(const std::string& name, std::string_view lower, const std::string& value) {
        if (IsOwnHeader(lower)) return;
        if (IsStructuredHeader(lower)) {
            headers_.Structured(name, value);
        } else {
            headers_.Text(name, value);
        }
    }

    std::string Boundary(Level level) const {
        const auto holds = [](const TextBody& body, std::string_view boundary) {
            return body.encoding == TransferEncoding::k7bit &&
                   body.text.find(boundary) != std::string_view::npos;
        };
        std::string seed = base::Cat(copy_.boundary_seed, "/", static_cast<int>(level));
        while (true) {
            std::string boundary(kBoundaryStart);
            boundary += base::HexEncode(crypto::Sha256(seed)).substr(0, 24);
            bool occurs = holds(plain_, boundary) || holds(html_, boundary);
            for (const auto& attachment : message_.attachments) {
                if (occurs) break;
                occurs = FormOf(attachment).encoding == TransferEncoding::k7bit &&
                         attachment.content.find(boundary) != std::string::npos;
            }
            if (!occurs) return boundary;
            seed += '+';
        }
    }

    void Multipart(
        std::string_view subtype, std::string_view boundary, std::string_view root_type
    ) {
        headers_.Begin("Content-Type", base::Cat("multipart/", subtype));
        if (!root_type.empty()) headers_.Parameter("type", root_type);
        headers_.Parameter("boundary", boundary);
        headers_.End();
        out_ += "\r\n";
    }

    // Each writer ends with the CRLF that belongs to the next delimiter.
    void Delimiter(std::string_view boundary, bool is_last) {
        out_ += "--";
        out_ += boundary;
        out_ += is_last ? "--\r\n" : "\r\n";
    }

    void Mixed() {
        if (attached_.empty()) return Related();
        const std::string boundary = Boundary(Level::kMixed);
        Multipart("mixed", boundary, {});
        Delimiter(boundary, false);
        Related();
        for (const auto* attachment : attached_) {
            Delimiter(boundary, false);
            Attached(*attachment);
        }
        Delimiter(boundary, true);
    }

    void Related() {
        if (inline_.empty()) return Alternative();
        const std::string boundary = Boundary(Level::kRelated);
        const bool both = has_plain_ && has_html_;
        Multipart(
            "related", boundary,
            both        ? "multipart/alternative"
            : has_html_ ? "text/html"
                        : "text/plain"
        );
        Delimiter(boundary, false);
        Alternative();
        for (const auto* attachment : inline_) {
            Delimiter(boundary, false);
            Attached(*attachment);
        }
        Delimiter(boundary, true);
    }

    void Alternative() {
        if (!has_html_) return Text(plain_);
        if (!has_plain_) return Text(html_);
        const std::string boundary = Boundary(Level::kAlternative);
        Multipart("alternative", boundary, {});
        Delimiter(boundary, false);
        Text(plain_);
        Delimiter(boundary, false);
        Text(html_);
        Delimiter(boundary, true);
    }

    void Text(const TextBody& body) {
        out_ += "Content-Type: text/";
        out_ += body.subtype;
        out_ += "; charset=utf-8\r\nContent-Transfer-Encoding: ";
        out_ += NameOf(body.encoding);
        out_ += "\r\n\r\n";
        const size_t start = out_.size();
        switch (body.encoding) {
            case TransferEncoding::k7bit: out_ += body.text; break;
            case TransferEncoding::kQuotedPrintable: AppendQuotedPrintable(out_, body.text); break;
            case TransferEncoding::kBase64: return AppendBase64Lines(out_, body.text);
        }
        // The only part of a message needs no more than a last line that ends.
        const auto written = std::string_view(out_).substr(start);
        if (is_single_ && (written.empty() || written.ends_with("\r\n"))) return;
        out_ += "\r\n";
    }

    void Attached(const Attachment& attachment) {
        const AttachmentForm form = FormOf(attachment);
        headers_.Structured("Content-Type", form.type);
        headers_.Structured("Content-Transfer-Encoding", NameOf(form.encoding));
        const bool is_inline = !attachment.content_id.empty();
        if (is_inline)
            headers_.Structured("Content-ID", base::Cat("<", attachment.content_id, ">"));
        headers_.Begin("Content-Disposition", is_inline ? "inline" : "attachment");
        if (!attachment.filename.empty()) headers_.Parameter("filename", attachment.filename);
        headers_.End();
        out_ += "\r\n";
        if (form.encoding == TransferEncoding::kBase64) {
            AppendBase64Lines(out_, attachment.content);
            if (attachment.content.empty()) out_ += "\r\n";
        } else {
            out_ += attachment.content;
            out_ += "\r\n";
        }
    }

    const Message& message_;
    const Copy& copy_;
    std::string out_;
    HeaderWriter headers_;
    std::vector<const Attachment*> inline_, attached_;
    TextBody plain_, html_;
    std::string generated_;
    bool has_plain_ = false;
    bool has_html_ = false;
    bool is_single_ = false;
};

size_t FieldBound(size_t name, size_t value) { return name + value * 4 + 200; }

size_t AddressesBound(const std::vector<Mailbox>& mailboxes) {
    size_t total = 0;
    for (const auto& mailbox : mailboxes) {
        total += FieldBound(
            0, mailbox.display_name.size() + mailbox.local.size() + mailbox.domain.size()
        );
    }
    return total;
}

/// Line ends may double, and encoding adds less than half.
size_t TextBound(std::string_view text) {
    const auto ends =
        std::count_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; });
    return (text.size() + static_cast<size_t>(ends)) * 3 / 2 + 300;
}

}  // namespace

std::string Build(const Message& message, const Copy& copy) {
    return CopyBuilder(message, copy).Build();
}

size_t EncodedSizeBound(const Message& message) {
    // Fixed fields, those of the copy and the delimiters of three levels.
    size_t total = 4096 + FieldBound(0, message.message_id.size());
    total += FieldBound(0, message.subject.size());
    total += FieldBound(
        0, message.from.display_name.size() + message.from.local.size() + message.from.domain.size()
    );
    total += AddressesBound(message.to) + AddressesBound(message.cc);
    total += AddressesBound(message.reply_to);
    for (const auto& [name, value] : message.headers)
        total += FieldBound(name.size(), value.size());
    if (message.text) total += TextBound(*message.text);
    if (message.html) {
        total += TextBound(*message.html);
        // The generated text is shorter than its source, but all of it may be line ends.
        if (!message.text) total += message.html->size() * 3 + 300;
    }
    for (const auto& attachment : message.attachments) {
        total += attachment.content.size() / 57 * 78 + 160;
        total += FieldBound(0, attachment.content_type.size());
        total += FieldBound(0, attachment.content_id.size());
        total += FieldBound(0, attachment.filename.size() * 2);
    }
    return total;
}

}  // namespace opensend::mime
