#include <algorithm>

#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/mime/filename.h"
#include "kernel/resources/emails/send_request.h"

namespace opensend::emails {
namespace {

constexpr size_t kMaxAttachments = 100;
constexpr size_t kMaxUrl = 2048;

void AddAttachmentProblem(
    json::Problems& problems,
    const std::string& path,
    std::string_view message,
    std::string_view reason = {}
) {
    problems.Add(base::ErrorCode::kInvalidAttachment, path, message, reason);
}
void AddAttachmentProblem(
    json::ObjectReader& in,
    const std::string& path,
    std::string_view message,
    std::string_view reason = {}
) {
    AddAttachmentProblem(in.problems(), path, message, reason);
}

std::optional<std::string> BytesFromArray(json::Value array) {
    std::string bytes;
    bytes.reserve(array.size());
    for (size_t i = 0; i < array.size(); ++i) {
        const json::Value element = array.At(i);
        if (!element.IsInt() || element.AsInt() < 0 || element.AsInt() > 255) return std::nullopt;
        bytes += static_cast<char>(static_cast<unsigned char>(element.AsInt()));
    }
    return bytes;
}

/// base64 text, {"type":"Buffer","data":[…]} or [0–255…]; `encoded` gets the base64 size.
std::optional<std::string> ReadBytes(json::Value content, size_t& encoded) {
    std::optional<std::string> bytes;
    if (content.IsString()) {
        encoded += content.AsString().size();
        return base::Base64DecodeLenient(content.AsString());
    }
    if (content.IsArray()) bytes = BytesFromArray(content);
    if (content.IsObject() && content.Find("data").IsArray()) {
        bytes = BytesFromArray(content.Find("data"));
    }
    if (bytes) encoded += (bytes->size() + 2) / 3 * 4;
    return bytes;
}

bool IsContentId(std::string_view id) {
    return !id.empty() && id.size() <= 128 && !base::HasControl(id) &&
           id.find_first_of("<> ") == std::string_view::npos;
}

bool IsContentType(std::string_view type) {
    const std::string_view essence = base::Trim(type.substr(0, type.find(';')));
    const size_t slash = essence.find('/');
    const auto is_token = [](std::string_view token) {
        return !token.empty() && std::all_of(token.begin(), token.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   std::string_view("!#$&^_.+-").find(c) != std::string_view::npos;
        });
    };
    return type.size() <= 255 && !base::HasControl(type) && slash != std::string_view::npos &&
           is_token(essence.substr(0, slash)) && is_token(essence.substr(slash + 1));
}

std::string LastPathSegment(std::string_view url) {
    url = url.substr(0, url.find_first_of("?#"));
    const size_t scheme = url.find("://");
    if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
    const size_t slash = url.rfind('/');
    return slash == std::string_view::npos ? std::string() : std::string(url.substr(slash + 1));
}

void ReadSource(
    json::ObjectReader& entry,
    const std::string& path,
    const ReadContext& context,
    RequestedAttachment& out,
    size_t& encoded
) {
    const json::Value content = entry.Take("content");
    const json::Value url = entry.Take("path");
    if (content.IsAbsent() == url.IsAbsent()) {
        return AddAttachmentProblem(entry, path, "needs exactly one of content and path.");
    }
    if (!url.IsAbsent()) {
        const std::string_view text = url.IsString() ? base::Trim(url.AsString()) : "";
        const bool https = base::StartsWithIgnoreCase(text, "https://");
        const bool http = base::StartsWithIgnoreCase(text, "http://");
        if (text.size() > kMaxUrl || base::HasControl(text) ||
            (!https && (context.https_only || !http))) {
            return AddAttachmentProblem(entry, path, "path must be an https URL.");
        }
        if (context.url_allowed && !context.url_allowed(text)) {
            return AddAttachmentProblem(entry, path, "path is a URL that is not allowed.");
        }
        out.url = std::string(text);
        return;
    }
    auto bytes = ReadBytes(content, encoded);
    if (!bytes) return AddAttachmentProblem(entry, path, "content is not base64.");
    if (bytes->empty()) return AddAttachmentProblem(entry, path, "content is empty.");
    out.content = std::move(*bytes);
}

void ReadName(
    json::ObjectReader& entry, const std::string& path, size_t index, RequestedAttachment& out
) {
    const json::Value name = entry.Take("filename");
    const bool absent = name.IsAbsent() || (name.IsBool() && !name.AsBool());
    if (!absent && !name.IsString()) {
        return AddAttachmentProblem(entry, path, "filename must be a string.");
    }
    if (!absent) {
        out.filename = mime::CleanFilename(name.AsString());
        if (out.filename.empty()) return AddAttachmentProblem(entry, path, "filename is empty.");
    } else if (!out.url.empty()) {
        out.filename = mime::CleanFilename(LastPathSegment(out.url));
    }
    if (out.content_type.empty()) {
        out.content_type = out.filename.empty() ? "application/octet-stream"
                                                : std::string(mime::TypeForFilename(out.filename));
    }
    if (out.filename.empty()) {
        out.filename =
            base::Cat("attachment-", index + 1, '.', mime::ExtensionForType(out.content_type));
    }
    if (mime::IsBlockedFilename(out.filename)) {
        AddAttachmentProblem(
            entry, path, "this type of file cannot be sent.", "attachment_type_blocked"
        );
    }
}

RequestedAttachment ReadAttachment(
    json::Value value,
    const std::string& path,
    size_t index,
    const ReadContext& context,
    bool strict,
    json::Problems& problems,
    size_t& encoded
) {
    json::ObjectReader entry(value, path, problems);
    RequestedAttachment out;
    ReadSource(entry, path, context, out, encoded);
    json::Value type = entry.TakeEither("content_type", "contentType");
    if (!type.IsAbsent()) {
        if (type.IsString() && IsContentType(type.AsString())) {
            out.content_type = std::string(type.AsString());
        } else {
            AddAttachmentProblem(entry, path, "content_type must be type/subtype.");
        }
    }
    const json::Value id = entry.TakeEither("content_id", "inline_content_id");
    if (!id.IsAbsent()) {
        if (id.IsString() && IsContentId(id.AsString())) {
            out.content_id = std::string(id.AsString());
        } else {
            AddAttachmentProblem(entry, path, "content_id has characters that are not allowed.");
        }
    }
    ReadName(entry, path, index, out);
    entry.Finish(strict);
    return out;
}

}  // namespace

void ReadAttachments(
    json::ObjectReader& in, const ReadContext& context, bool strict, SendRequest& out
) {
    json::Problems& problems = out.attachment_problems;
    const json::Value value = in.Take("attachments");
    if (value.IsAbsent()) return;
    const std::string base_path = in.Path("attachments");
    if (!value.IsArray()) return AddAttachmentProblem(problems, base_path, "must be an array.");
    if (value.size() > kMaxAttachments) {
        return AddAttachmentProblem(problems, base_path, "at most 100 attachments.");
    }
    size_t encoded = 0;
    for (size_t i = 0; i < value.size(); ++i) {
        const std::string path = base::Cat(base_path, '.', i);
        if (!value.At(i).IsObject()) {
            AddAttachmentProblem(problems, path, "must be an object.");
            continue;
        }
        RequestedAttachment made =
            ReadAttachment(value.At(i), path, i, context, strict, problems, encoded);
        for (const RequestedAttachment& other : out.attachments) {
            if (!made.content_id.empty() && other.content_id == made.content_id) {
                AddAttachmentProblem(problems, path, "repeats a content_id.");
            }
        }
        out.attachments.push_back(std::move(made));
    }
    if (encoded > context.max_attachment_b64_bytes) {
        AddAttachmentProblem(problems, base_path, "at most 40 MiB of base64 together.");
    }
}

}  // namespace opensend::emails
