#include <algorithm>

#include "kernel/base/text.h"
#include "kernel/resources/emails/send_request.h"

namespace opensend::emails {
namespace {

constexpr size_t kMaxHeaders = 50;
constexpr size_t kMaxHeaderName = 76;
constexpr size_t kMaxHeaderValue = 2000;
constexpr size_t kMaxHeaderTotal = 16 * 1024;
constexpr size_t kMaxMessageId = 250;

constexpr std::string_view kReserved[] = {
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "mime-version",
    "return-path",
    "received",
    "delivered-to",
    "dkim-signature",
    "authentication-results"};
constexpr std::string_view kReservedPrefixes[] = {"content-", "arc-", "resent-", "x-opensend-"};
/// Control headers of submission: never sent.
constexpr std::string_view kControl[] = {"x-idempotency-key", "resend-idempotency-key"};

bool IsHeaderName(std::string_view name) {
    return !name.empty() && name.size() <= kMaxHeaderName &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return c >= '!' && c <= '~' && c != ':' && c != '<' && c != '=' && c != '>';
           });
}

bool IsReserved(const std::string& lower) {
    const auto has_prefix = [&](std::string_view prefix) { return lower.rfind(prefix, 0) == 0; };
    return std::find(std::begin(kReserved), std::end(kReserved), lower) != std::end(kReserved) ||
           std::any_of(std::begin(kReservedPrefixes), std::end(kReservedPrefixes), has_prefix);
}

bool IsMessageId(std::string_view id) {
    if (id.size() < 5 || id.size() > kMaxMessageId || id.front() != '<' || id.back() != '>') {
        return false;
    }
    const std::string_view inner = id.substr(1, id.size() - 2);
    const size_t at = inner.find('@');
    const bool printable = std::all_of(inner.begin(), inner.end(), [](char c) {
        return c > ' ' && c < 0x7f && c != '<' && c != '>';
    });
    return printable && at != std::string_view::npos && at > 0 && at + 1 < inner.size() &&
           inner.find('@', at + 1) == std::string_view::npos;
}

bool AreMessageIds(std::string_view value) {
    bool any = false;
    for (const std::string_view part : base::Split(value, ' ')) {
        if (part.empty()) continue;
        if (!IsMessageId(part)) return false;
        any = true;
    }
    return any;
}

/// False when the header has a problem, which is then reported.
bool CheckHeader(
    json::ObjectReader& in,
    const std::string& path,
    const std::string& lower,
    const std::string& value
) {
    json::Problems& problems = in.problems();
    if (IsReserved(lower)) {
        problems.Add(path, "this header cannot be set here.", "header_not_allowed");
        return false;
    }
    if (value.size() > kMaxHeaderValue) {
        problems.Add(path, "at most 2000 octets.", "too_long");
        return false;
    }
    if (lower == "message-id" && !IsMessageId(value)) {
        problems.Add(path, "must be one message id in angle brackets.", "invalid_format");
        return false;
    }
    if ((lower == "in-reply-to" || lower == "references") && !AreMessageIds(value)) {
        problems.Add(path, "must be message ids in angle brackets.", "invalid_format");
        return false;
    }
    return true;
}

}  // namespace

void ReadHeaders(json::ObjectReader& in, SendRequest& out) {
    const json::Value value = in.Take("headers");
    if (value.IsAbsent()) return;
    const std::string base_path = in.Path("headers");
    json::Problems& problems = in.problems();
    if (!value.IsObject()) return problems.Add(base_path, "must be an object.", "invalid_type");
    if (value.size() > kMaxHeaders) return problems.Add(base_path, "at most 50.", "too_many");
    std::vector<std::string> seen;
    size_t total = 0;
    for (size_t i = 0; i < value.size(); ++i) {
        const std::string name(value.NameAt(i));
        const std::string path = base::Cat(base_path, '.', name);
        if (!IsHeaderName(name)) {
            problems.Add(base_path, "has a name that is not a header name.", "invalid_format");
            continue;
        }
        const auto text =
            json::CheckText(value.MemberAt(i), path, {.single_line = true, .trim = true}, problems);
        if (!text) continue;
        const std::string lower = base::AsciiLower(name);
        if (std::find(seen.begin(), seen.end(), lower) != seen.end()) {
            problems.Add(path, "repeats a name.", "invalid_value");
            continue;
        }
        seen.push_back(lower);
        if (!CheckHeader(in, path, lower, *text)) continue;
        total += name.size() + text->size();
        if (std::find(std::begin(kControl), std::end(kControl), lower) != std::end(kControl)) {
            continue;
        }
        if (lower == "message-id") {
            out.message_id = *text;
        } else {
            out.headers.emplace_back(name, *text);
        }
    }
    if (total > kMaxHeaderTotal) problems.Add(base_path, "at most 16 KiB together.", "too_long");
}

}  // namespace opensend::emails
