#include "kernel/resources/emails/email_json.h"

#include "kernel/base/check.h"
#include "kernel/json/value.h"

namespace opensend::emails {
namespace {

json::Document ParseStored(const std::string& text) {
    // Stored texts were written by us and may be larger than what a client may send.
    auto document =
        json::Document::Parse(text, {.max_depth = 8, .max_keys = 10'000, .max_elements = 100'000});
    OPENSEND_CHECK(document.ok(), "stored JSON parses");
    return std::move(*document);
}

std::string ArrayOf(const json::Value& addresses, std::string_view name) {
    const json::Value list = addresses.Find(name);
    return list.IsMissing() ? "[]" : json::Canonical(list);
}

void WriteError(
    json::Writer& out,
    std::string_view name,
    const std::optional<std::string>& code,
    const std::optional<std::string>& message
) {
    if (!code) {
        out.NullField(name);
        return;
    }
    out.Key(name).BeginObject().Field("code", *code);
    out.Field("message", message.value_or("")).EndObject();
}

void WriteHeadFields(json::Writer& out, const Email& email) {
    const json::Document addresses = ParseStored(email.addresses);
    out.Field("id", email.id.ToString()).Field("message_id", email.message_id);
    out.Field("from", email.from_text);
    for (const std::string_view name : {"to", "cc", "bcc", "reply_to"}) {
        out.RawField(name, ArrayOf(addresses.root(), name));
    }
    out.Field("subject", email.subject);
}

void WriteStateFields(json::Writer& out, const Email& email) {
    out.RawField("tags", email.tags).NullField("topic_id").NullField("template_id");
    out.NullField("broadcast_id").Field("stream", email.stream);
    out.Field("created_at", email.id.uuid().Timestamp()).Field("scheduled_at", email.scheduled_at);
    out.Field("sent_at", email.sent_at).Field("last_event", email.last_event);
    out.Field("status", model::ToText(email.status));
}

void WriteProviderFields(json::Writer& out, const Email& email) {
    out.Field("provider_retry_count", email.retry_count);
    out.Field("provider_last_attempted_at", email.last_attempted_at);
    out.Field("provider_next_retry_at", email.next_retry_at);
    WriteError(out, "provider_last_error", email.last_error_code, email.last_error_message);
    out.NullField("provider_dead_lettered_at").Field("entrance", email.entrance);
    out.NullField("reply_address").NullField("thread_id");
}

}  // namespace

std::string DetailJson(
    const Email& email, const EmailContent& content, const std::vector<RecipientRow>& recipients
) {
    json::Writer out;
    out.BeginObject().Field("object", "email");
    WriteHeadFields(out, email);
    out.Field("html", content.html).Field("text", content.text).RawField("headers", email.headers);
    WriteStateFields(out, email);
    out.Key("recipients").BeginArray();
    for (const RecipientRow& r : recipients) {
        out.BeginObject().Field("email", r.address).Field("kind", r.kind);
        out.Field("status", model::ToText(r.status));
        out.Field("last_event", model::LastEventOf(r.status)).Field("attempts", r.attempts);
        out.Field("suppression_reason", r.suppression_reason);
        WriteError(out, "last_error", r.last_error_code, r.last_error_message);
        out.Field("updated_at", r.updated_at).EndObject();
    }
    out.EndArray();
    WriteProviderFields(out, email);
    out.NullField("thread").EndObject();
    return out.Take();
}

void WriteListItem(json::Writer& out, const Email& email) {
    out.BeginObject();
    WriteHeadFields(out, email);
    WriteStateFields(out, email);
    WriteProviderFields(out, email);
    out.EndObject();
}

events::EmailFacts FactsOf(const Email& email) {
    const json::Document addresses = ParseStored(email.addresses);
    const json::Document tags = ParseStored(email.tags);
    const json::Document headers = ParseStored(email.headers);
    events::EmailFacts facts;
    facts.id = email.id;
    facts.message_id = email.message_id;
    facts.created_at = email.id.uuid().Timestamp();
    facts.from = email.from_text;
    facts.to_json = ArrayOf(addresses.root(), "to");
    facts.cc_json = ArrayOf(addresses.root(), "cc");
    facts.subject = email.subject;
    json::Writer map;
    map.BeginObject();
    for (size_t i = 0; i < tags.root().size(); ++i) {
        const json::Value tag = tags.root().At(i);
        map.Field(tag.Find("name").AsString(), tag.Find("value").AsString());
    }
    map.EndObject();
    facts.tags_map_json = map.Take();
    json::Writer list;
    list.BeginArray();
    for (size_t i = 0; i < headers.root().size(); ++i) {
        list.BeginObject().Field("name", headers.root().NameAt(i));
        list.Field("value", headers.root().MemberAt(i).AsString()).EndObject();
    }
    list.EndArray();
    facts.headers_list_json = list.Take();
    return facts;
}

std::string PackContent(const EmailContent& content) {
    json::Writer out;
    out.BeginObject().Field("html", content.html).Field("text", content.text).EndObject();
    return out.Take();
}

EmailContent UnpackContent(const std::string& blob) {
    const json::Document document = ParseStored(blob);
    const auto text_of = [&](std::string_view name) -> std::optional<std::string> {
        const json::Value value = document.root().Find(name);
        if (!value.IsString()) return std::nullopt;
        return std::string(value.AsString());
    };
    return EmailContent{text_of("html"), text_of("text"), std::nullopt};
}

}  // namespace opensend::emails
