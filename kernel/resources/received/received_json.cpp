#include "kernel/resources/received/received_json.h"

#include <algorithm>
#include <map>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/json/value.h"

namespace opensend::received {
namespace {

constexpr size_t kMaxEmbedded = 1024 * 1024;
constexpr size_t kMaxEmbeddedTogether = 5 * 1024 * 1024;
constexpr size_t kMaxReference = 1024;
constexpr std::string_view kUnknownType = "application/octet-stream";

json::Document ParseStored(const std::string& text) {
    auto document =
        json::Document::Parse(text, {.max_depth = 8, .max_keys = 10'000, .max_elements = 100'000});
    OPENSEND_CHECK(document.ok(), "stored JSON parses");
    return std::move(*document);
}

void WriteHead(json::Writer& out, const ReceivedEmail& email) {
    out.Field("id", email.id.ToString());
    const json::Document addresses = ParseStored(email.addresses);
    const auto write_list = [&](std::string_view name) {
        const json::Value list = addresses.root().Find(name);
        out.RawField(name, list.IsArray() ? json::Canonical(list) : "[]");
    };
    write_list("to");
    out.Field("from", email.from_text);
    for (const std::string_view name : {"cc", "bcc", "reply_to"}) write_list(name);
    out.Key("received_for").BeginArray();
    for (const RouteDecision& decision : email.decisions) out.String(decision.address);
    out.EndArray();
    out.Field("subject", email.subject).Field("message_id", email.message_id);
    out.Field("created_at", email.created_at);
}

/// Lower-case names; of a repeated header all values, except where only the first counts.
void WriteHeaders(json::Writer& out, const ReceivedEmail& email) {
    const json::Document stored = ParseStored(email.headers);
    std::vector<std::pair<std::string, std::string>> joined;
    std::map<std::string, size_t> places;
    for (size_t i = 0; i < stored.root().size(); ++i) {
        const json::Value line = stored.root().At(i);
        const std::string name = base::AsciiLower(line.Find("name").AsString());
        const std::string value(line.Find("value").AsString());
        const auto [place, fresh] = places.emplace(name, joined.size());
        if (fresh) {
            joined.emplace_back(name, value);
        } else if (name != "from" && name != "message-id") {
            joined[place->second].second += ", " + value;
        }
    }
    out.Key("headers").BeginObject();
    for (const auto& [name, value] : joined) out.Field(name, value);
    out.EndObject();
}

void WriteFacts(json::Writer& out, const ReceivedEmail& email) {
    out.Key("attachments").BeginArray();
    for (const ReceivedAttachment& a : email.attachments) {
        out.BeginObject().Field("id", a.id.ToString()).Field("filename", a.filename);
        out.Field("size", a.size).Field("content_type", a.content_type);
        out.Field("content_id", a.content_id.empty() ? std::nullopt : std::optional(a.content_id));
        out.Field("content_disposition", a.disposition).EndObject();
    }
    out.EndArray().Field("size", email.size);
    out.Key("authentication").BeginObject().Field("spf", email.spf).Field("dkim", email.dkim);
    out.Field("dmarc", email.dmarc).EndObject();
    out.Field("spam", email.spam).Field("dmarc_fail", email.dmarc_fail);
    out.Key("route_decisions").BeginArray();
    for (const RouteDecision& d : email.decisions) {
        out.BeginObject().Field("recipient", d.address).Field("status", d.status);
        out.Field("domainId", d.domain ? std::optional(d.domain->ToString()) : std::nullopt);
        out.Field("routeId", d.route_id).Field("routeType", d.route_type);
        out.Field("localPart", d.local_part).Field("targetAddress", d.target_address).EndObject();
    }
    out.EndArray();
    out.Field("reply_match_status", email.reply_match_status).Field("thread_id", email.thread_id);
    out.Field("reply_to_email_id", email.reply_to_email_id).Field("contact_id", email.contact_id);
}

/// type/subtype of a stored content type when it is made of safe characters.
std::string Essence(std::string_view type) {
    type = base::Trim(type.substr(0, type.find(';')));
    const bool safe = std::all_of(type.begin(), type.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("/.+-_").find(c) != std::string_view::npos;
    });
    const bool whole = type.size() > 2 && std::count(type.begin(), type.end(), '/') == 1;
    return safe && whole ? base::AsciiLower(type) : std::string(kUnknownType);
}

std::string DecodePercent(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const auto byte = text[i] == '%' && i + 2 < text.size()
                              ? base::HexDecode(text.substr(i + 1, 2))
                              : std::nullopt;
        if (byte && byte->size() == 1) {
            out += *byte;
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

}  // namespace

std::string DetailJson(
    const ReceivedEmail& email,
    const ReceivedContent& content,
    const std::optional<access::FileLinks::Link>& raw
) {
    json::Writer out;
    out.BeginObject().Field("object", "email");
    WriteHead(out, email);
    out.Field("html", content.html).Field("text", content.text);
    WriteHeaders(out, email);
    if (raw) {
        out.Key("raw").BeginObject().Field("download_url", raw->url);
        out.Field("expires_at", raw->expires_at).EndObject();
    } else {
        out.NullField("raw");
    }
    WriteFacts(out, email);
    out.EndObject();
    return out.Take();
}

void WriteListItem(json::Writer& out, const ReceivedEmail& email) {
    out.BeginObject();
    WriteHead(out, email);
    WriteFacts(out, email);
    out.EndObject();
}

void WriteAttachment(
    json::Writer& out,
    const ReceivedAttachment& a,
    const access::FileLinks::Link& link,
    bool with_object
) {
    out.BeginObject();
    if (with_object) out.Field("object", "attachment");
    out.Field("id", a.id.ToString()).Field("filename", a.filename).Field("size", a.size);
    out.Field("content_type", a.content_type).Field("content_disposition", a.disposition);
    out.Field("content_id", a.content_id.empty() ? std::nullopt : std::optional(a.content_id));
    out.Field("status", "stored").Field("download_url", link.url);
    out.Field("expires_at", link.expires_at).EndObject();
}

std::string EmbedInline(
    const std::string& html,
    const std::vector<ReceivedAttachment>& attachments,
    const std::function<std::optional<std::string>(const ReceivedAttachment&)>& read
) {
    constexpr std::string_view kScheme = "cid:";
    constexpr std::string_view kEnds = "\"'<> \t\r\n)\\";
    std::map<std::string, std::string> embedded;  // content id → data URL; empty: it stays
    size_t together = 0;
    const auto url_of = [&](const std::string& id) -> const std::string& {
        const auto [place, fresh] = embedded.emplace(id, "");
        if (!fresh) return place->second;
        const auto found =
            std::find_if(attachments.begin(), attachments.end(), [&](const auto& attachment) {
                return attachment.content_id == id;
            });
        if (found == attachments.end()) return place->second;
        const auto size = static_cast<size_t>(std::max<int64_t>(found->size, 0));
        if (size > kMaxEmbedded || together + size > kMaxEmbeddedTogether) return place->second;
        const auto bytes = read(*found);
        if (!bytes || bytes->size() > kMaxEmbedded) return place->second;
        together += bytes->size();
        place->second = base::Cat(
            "data:", Essence(found->content_type), ";base64,", base::Base64Encode(*bytes)
        );
        return place->second;
    };
    std::string out;
    size_t at = 0;
    while (at < html.size()) {
        const bool begins = base::StartsWithIgnoreCase(
                                std::string_view(html).substr(at, kScheme.size()), kScheme
                            ) &&
                            (at == 0 || std::string_view("\"'( =\t\n").find(html[at - 1]) !=
                                            std::string_view::npos);
        if (!begins) {
            out += html[at++];
            continue;
        }
        const size_t from = at + kScheme.size();
        const size_t end = std::min(html.find_first_of(kEnds, from), html.size());
        std::string url;
        // One embedded picture may be named often: the text as a whole stays bounded too.
        if (end - from <= kMaxReference && out.size() < html.size() + 4 * kMaxEmbeddedTogether) {
            url = url_of(DecodePercent(std::string_view(html).substr(from, end - from)));
        }
        out += url.empty() ? html.substr(at, end - at) : url;
        at = end;
    }
    return out;
}

}  // namespace opensend::received
