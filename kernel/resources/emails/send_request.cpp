#include "kernel/resources/emails/send_request.h"

#include <algorithm>

#include "kernel/base/schedule.h"
#include "kernel/base/text.h"
#include "kernel/base/uuid.h"

namespace opensend::emails {
namespace {

constexpr size_t kMaxRecipients = 50;
constexpr size_t kMaxReplyTo = 25;
constexpr size_t kMaxTags = 75;
constexpr size_t kMaxBodyBytes = 5 * 1024 * 1024;
constexpr std::chrono::hours kMaxSchedule{24 * 30};

/// A template may supply what is absent.
void ReadFrom(json::ObjectReader& in, bool required, SendRequest& out) {
    const json::Value value = in.Take("from");
    if (value.IsAbsent()) {
        if (required) in.problems().AddMissing(in.Path("from"));
        return;
    }
    if (!value.IsString()) {
        return in.problems().Add(in.Path("from"), "must be a string.", "invalid_type");
    }
    auto mailbox = mime::ParseMailbox(value.AsString());
    if (mailbox.ok()) {
        out.from = std::move(*mailbox);
    } else {
        in.problems().Add(
            base::ErrorCode::kInvalidFromAddress, in.Path("from"),
            "use `address@domain` or `Name <address@domain>`.", ""
        );
    }
}

void AddMailbox(
    json::ObjectReader& in,
    json::Value value,
    const std::string& path,
    std::vector<mime::Mailbox>& out
) {
    if (!value.IsString()) {
        return in.problems().Add(path, "must be a string.", "invalid_type");
    }
    auto mailbox = mime::ParseMailbox(value.AsString());
    if (mailbox.ok()) {
        out.push_back(std::move(*mailbox));
    } else {
        in.problems().Add(path, mailbox.error().message, "invalid_email");
    }
}

/// A string is one mailbox; "" and [] are absent. `required`: at least one.
std::vector<mime::Mailbox> ReadMailboxes(
    json::ObjectReader& in, std::string_view name, bool required, size_t max
) {
    std::vector<mime::Mailbox> out;
    const json::Value value = in.Take(name);
    const std::string path = in.Path(name);
    if (value.IsAbsent()) {
        if (required) in.problems().AddMissing(path);
        return out;
    }
    if (value.IsString()) {
        const bool blank = base::Trim(value.AsString()).empty();
        if (!blank || required) AddMailbox(in, value, path, out);
        return out;
    }
    if (!value.IsArray()) {
        in.problems().Add(path, "must be a string or an array of strings.", "invalid_type");
        return out;
    }
    if (value.size() == 0 && required) {
        in.problems().Add(path, "needs at least one recipient.", "too_few");
    }
    if (value.size() > max) {
        in.problems().Add(path, base::Cat("at most ", max, " addresses."), "too_many");
        return out;
    }
    for (size_t i = 0; i < value.size(); ++i) {
        AddMailbox(in, value.At(i), base::Cat(path, '.', i), out);
    }
    return out;
}

std::optional<std::string> ReadBody(json::ObjectReader& in, std::string_view name) {
    auto text = in.OptionalText(name);
    if (text && text->size() > kMaxBodyBytes) {
        in.problems().Add(in.Path(name), "at most 5 MiB.", "too_long");
        return std::nullopt;
    }
    return text;
}

void ReadTemplate(json::ObjectReader& in, bool strict, SendRequest& out) {
    const json::Value used = in.Take("template");
    if (used.IsAbsent()) return;
    json::ObjectReader entry(used, in.Path("template"), in.problems());
    out.template_ref =
        entry.RequireText("id", {.min = 1, .max = 255, .single_line = true, .trim = true})
            .value_or("");
    const json::Value variables = entry.Take("variables");
    if (!variables.IsAbsent() && !variables.IsObject()) {
        in.problems().Add(entry.Path("variables"), "must be an object.", "invalid_type");
    }
    entry.Finish(strict);
}

void ReadContent(json::ObjectReader& in, SendRequest& out) {
    out.html = ReadBody(in, "html");
    out.text = ReadBody(in, "text");
    const bool has_html = out.html && !out.html->empty();
    const bool has_text = out.text && !out.text->empty();
    if (out.template_ref) {
        if (!has_html && !has_text) return;
        in.problems().Add(
            in.Path("template"), "cannot be combined with html or text.", "invalid_value"
        );
    }
    if (!has_html && !has_text && in.problems().empty()) {
        in.problems().AddMissing(in.Path("html"));
    }
    if (!has_html) out.html.reset();
}

bool IsTagText(std::string_view text, size_t min) {
    return text.size() >= min && text.size() <= 256 &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-';
           });
}

void ReadTag(
    json::ObjectReader& in,
    json::Value entry,
    const std::string& path,
    bool strict,
    SendRequest& out
) {
    if (!entry.IsObject()) {
        return in.problems().Add(path, "needs a name and a value.", "invalid_type");
    }
    json::ObjectReader tag(entry, path, in.problems());
    const json::Value name = tag.Take("name");
    const json::Value value = tag.Take("value");
    tag.Finish(strict);
    if (!name.IsString() || !value.IsString()) {
        return in.problems().Add(path, "needs a name and a value.", "invalid_type");
    }
    if (!IsTagText(name.AsString(), 1) || !IsTagText(value.AsString(), 0)) {
        return in.problems().Add(
            path, "may hold letters, digits, underscore and hyphen, at most 256.", "invalid_format"
        );
    }
    const std::string key(name.AsString());
    if (key.rfind("opensend_", 0) == 0 || key == "broadcast_id") {
        return in.problems().Add(path, "uses a name the server sets.", "invalid_value");
    }
    for (const auto& [seen, ignored] : out.tags) {
        if (seen == key) return in.problems().Add(path, "repeats a name.", "duplicate_tag");
    }
    out.tags.emplace_back(key, std::string(value.AsString()));
}

void ReadTags(json::ObjectReader& in, bool strict, SendRequest& out) {
    const json::Value value = in.Take("tags");
    if (value.IsAbsent()) return;
    const std::string path = in.Path("tags");
    if (!value.IsArray()) return in.problems().Add(path, "must be an array.", "invalid_type");
    if (value.size() > kMaxTags) return in.problems().Add(path, "at most 75 tags.", "too_many");
    for (size_t i = 0; i < value.size(); ++i) {
        ReadTag(in, value.At(i), base::Cat(path, '.', i), strict, out);
    }
}

void ReadTopic(json::ObjectReader& in, SendRequest& out) {
    const json::Value topic = in.Take("topic_id");
    if (topic.IsAbsent()) return;
    const auto id = topic.IsString() ? base::ParseUuid(topic.AsString()) : std::nullopt;
    if (!id) return in.problems().Add(in.Path("topic_id"), "must be a UUID.", "invalid_format");
    out.topic = id->ToString();
}

}  // namespace

std::optional<base::Time> ReadScheduledAt(
    json::Value value, const std::string& path, const ReadContext& context, json::Problems& problems
) {
    if (value.IsAbsent()) return std::nullopt;
    const auto text = json::CheckText(value, path, {.max = 100, .single_line = true}, problems);
    if (!text) return std::nullopt;
    const auto time = base::ParseSchedule(*text, context.now, context.zone);
    if (!time) {
        problems.Add(path, "is not a time that can be read.", "invalid_format");
    } else if (*time <= context.now || *time > context.now + kMaxSchedule) {
        problems.Add(path, "must be in the future, at most 30 days ahead.", "out_of_range");
    } else {
        return time;
    }
    return std::nullopt;
}

SendRequest ReadSendRequest(
    json::Value body,
    const std::string& prefix,
    const ReadContext& context,
    bool strict,
    json::Problems& problems,
    std::vector<std::string>& ignored
) {
    SendRequest out;
    out.path = prefix;
    json::ObjectReader in(body, prefix, problems);
    const bool templated = body.IsObject() && !body.Find("template").IsAbsent();
    ReadFrom(in, !templated, out);
    out.to = ReadMailboxes(in, "to", true, kMaxRecipients);
    out.cc = ReadMailboxes(in, "cc", false, kMaxRecipients);
    out.bcc = ReadMailboxes(in, "bcc", false, kMaxRecipients);
    if (out.to.size() + out.cc.size() + out.bcc.size() > kMaxRecipients) {
        problems.Add(in.Path("to"), "at most 50 recipients with cc and bcc.", "too_many");
    }
    out.reply_to = ReadMailboxes(in, "reply_to", false, kMaxReplyTo);
    const json::TextRule subject_rule{.min = 1, .max = 1024, .single_line = true};
    out.subject = (templated ? in.OptionalText("subject", subject_rule)
                             : in.RequireText("subject", subject_rule))
                      .value_or("");
    ReadTemplate(in, strict, out);
    ReadContent(in, out);
    ReadHeaders(in, out);
    ReadAttachments(in, context, strict, out);
    ReadTags(in, strict, out);
    out.scheduled_at =
        ReadScheduledAt(in.Take("scheduled_at"), in.Path("scheduled_at"), context, problems);
    ReadTopic(in, out);
    if (const auto stream = in.OptionalText("stream")) {
        if (*stream != "transactional" && *stream != "bulk") {
            problems.Add(in.Path("stream"), "must be transactional or bulk.", "invalid_value");
        }
        out.stream = *stream;
    }
    in.Take("region");
    in.Take("react");
    ignored = in.Finish(strict);
    return out;
}

}  // namespace opensend::emails
