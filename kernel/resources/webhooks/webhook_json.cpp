#include "kernel/resources/webhooks/webhook_json.h"

#include <algorithm>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/model/event_type.h"

namespace opensend::webhooks {

std::string ReadEventTypes(
    const json::Value& value, std::string_view path, json::Problems& problems
) {
    json::Writer out;
    out.BeginArray();
    if (!value.IsArray()) {
        problems.Add(path, "must be an array.", "invalid_type");
    } else if (value.size() == 0) {
        problems.Add(path, "needs at least one type.", "too_few");
    }
    std::vector<std::string> seen;
    for (size_t i = 0; value.IsArray() && i < value.size(); ++i) {
        const json::Value entry = value.At(i);
        std::string name;
        if (entry.IsString() && entry.AsString() == "*") name = "*";
        const auto type = entry.IsString() ? model::ParseEventType(entry.AsString()) : std::nullopt;
        if (type) name = std::string(model::ToText(*type));
        if (name.empty()) {
            problems.Add(base::Cat(path, '.', i), "is not an event type.", "invalid_value");
        } else if (std::find(seen.begin(), seen.end(), name) == seen.end()) {
            seen.push_back(name);
            out.String(name);
        }
    }
    out.EndArray();
    return out.Take();
}

std::string ReadEndpoint(const json::Value& value, json::Problems& problems) {
    if (value.IsNull()) {
        problems.Add("endpoint", "must be a URL.", "invalid_type");
        return "";
    }
    return json::CheckText(
               value, "endpoint", {.min = 1, .max = 2048, .single_line = true, .trim = true},
               problems
    )
        .value_or("");
}

std::string NamesList(const std::string& event_types) {
    const auto document = json::Document::Parse(event_types);
    OPENSEND_CHECK(document.ok(), "stored event types are JSON");
    std::string out = ",";
    for (size_t i = 0; i < document->root().size(); ++i) {
        const std::string_view name = document->root().At(i).AsString();
        if (name == "*") return "";
        out += base::Cat(name, ',');
    }
    return out;
}

void WriteHead(json::Writer& out, const Webhook& hook) {
    out.Field("id", hook.id.ToString()).Field("endpoint", hook.endpoint);
    out.RawField("events", hook.event_types).Field("status", hook.status);
    out.Field("description", hook.description);
    out.Field("created_at", hook.id.uuid().Timestamp()).Field("updated_at", hook.updated_at);
    out.Field("disabled_reason", hook.disabled_reason);
    out.Field("previous_secret_expires_at", hook.prev_expires_at);
}

void WriteDelivery(json::Writer& out, const DeliveryView& d) {
    out.BeginObject().Field("id", d.id.ToString());
    out.Field("event_id", model::MessageIdOf(d.event)).Field("event_type", d.event_type);
    out.Field("status", d.status).Field("attempt", d.attempt);
    out.Field("status_code", d.status_code).Field("response_body", d.response_body);
    out.Field("attempted_at", d.attempted_at).Field("next_retry_at", d.next_retry_at);
    out.Field("created_at", d.id.uuid().Timestamp()).EndObject();
}

std::string WebhookJson(
    const Webhook& hook, const base::Secret* secret, const std::vector<DeliveryView>& recent
) {
    json::Writer out;
    out.BeginObject().Field("object", "webhook");
    WriteHead(out, hook);
    if (secret != nullptr) {
        out.Field("signing_secret", std::string(secret->Reveal()));
    } else {
        out.NullField("signing_secret");
    }
    out.Key("recent_deliveries").BeginArray();
    for (const DeliveryView& delivery : recent) WriteDelivery(out, delivery);
    out.EndArray().EndObject();
    return out.Take();
}

}  // namespace opensend::webhooks
