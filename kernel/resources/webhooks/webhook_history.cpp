#include "kernel/api/audited.h"
#include "kernel/api/idempotent.h"
#include "kernel/api/paging.h"
#include "kernel/api/query.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/events/event_log.h"
#include "kernel/resources/webhooks/delivery_store.h"
#include "kernel/resources/webhooks/webhook_json.h"
#include "kernel/resources/webhooks/webhooks_api.h"

namespace opensend::webhooks {
namespace {

constexpr int64_t kMaxReplay = 10'000;
constexpr std::string_view kStates[] = {"success", "pending", "failed", "attempting"};

std::optional<model::EventId> ParseMessageId(std::string_view text) {
    constexpr std::string_view kPrefix = "msg_";
    if (text.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
    const auto uuid = base::ParseBase62Uuid(text.substr(kPrefix.size()));
    return uuid ? std::optional(model::EventId(*uuid)) : std::nullopt;
}

model::EventId EventOf(const api::Call& call) {
    const auto found = call.params.find("event_id");
    const auto id = found == call.params.end() ? std::nullopt : ParseMessageId(found->second);
    if (!id) throw api::Call::BadParameter("event_id", "must be an event id");
    return *id;
}

/// As api::ReadPage, with cursors that are event ids.
db::PageRequest ReadEventPage(const api::Call& call) {
    api::Call translated;
    translated.query = call.query;
    for (const char* name : {"after", "before"}) {
        const auto found = translated.query.find(name);
        if (found == translated.query.end()) continue;
        const auto id = ParseMessageId(found->second);
        if (!id) throw api::Call::BadParameter(name, "must be the id of a row");
        found->second = id->ToString();
    }
    return api::ReadPage(translated);
}

/// A time of a body; `upper`: a date alone means its end.
std::optional<base::Time> TakeTime(json::ObjectReader& in, std::string_view name, bool upper) {
    const auto text = in.OptionalText(name, {.max = 64, .single_line = true});
    if (!text) return std::nullopt;
    const auto time = base::ParseIso(*text);
    if (!time) {
        in.problems().Add(name, "must be an ISO 8601 time.", "invalid_value");
        return std::nullopt;
    }
    const bool whole_day = text->size() == 10;
    return whole_day && upper ? *time + std::chrono::hours(24) - std::chrono::milliseconds(1)
                              : *time;
}

std::string TakeStates(json::ObjectReader& in) {
    const json::Value value = in.Take("statuses");
    if (value.IsAbsent()) return ",failed,";
    std::string out = ",";
    if (!value.IsArray() || value.size() == 0) {
        in.problems().Add("statuses", "must be an array of states.", "invalid_type");
    }
    for (size_t i = 0; value.IsArray() && i < value.size(); ++i) {
        const std::string name(value.At(i).IsString() ? value.At(i).AsString() : "");
        if (std::find(std::begin(kStates), std::end(kStates), name) == std::end(kStates)) {
            in.problems().Add(base::Cat("statuses.", i), "is not a state.", "invalid_value");
        } else {
            out += name + ",";
        }
    }
    return out;
}

ReplayJob ReadRange(json::ObjectReader& in) {
    ReplayJob job;
    const size_t before = in.problems().empty() ? 0 : 1;
    const auto since = TakeTime(in, "since", false);
    if (!since && before == 0 && in.problems().empty()) in.problems().AddMissing("since");
    job.since = since.value_or(base::Time{});
    if (const auto until = TakeTime(in, "until", true)) job.until = *until;
    if (const json::Value types = in.Take("types"); !types.IsAbsent()) {
        const std::string names = ReadEventTypes(types, "types", in.problems());
        job.types = NamesList(names);
    }
    job.statuses = TakeStates(in);
    job.remaining = in.OptionalInt("limit", 1, kMaxReplay).value_or(kMaxReplay);
    return job;
}

void WriteEventHead(json::Writer& out, const EventView& event) {
    out.Field("id", model::MessageIdOf(event.id)).Field("type", event.type);
    out.Field("created_at", event.created_at).Field("status", event.status);
}

void WriteAttempt(json::Writer& out, const AttemptView& attempt) {
    out.BeginObject().Field("id", attempt.id.ToString()).Field("attempt", attempt.number);
    out.Field("http_status_code", attempt.http_status).Field("response", attempt.response);
    out.Field("sent_at", attempt.sent_at).Field("duration_ms", attempt.duration_ms);
    out.Field("error", attempt.error).Field("url_host", attempt.url_host).EndObject();
}

std::string ReplayFacts(const model::EventId& event) {
    json::Writer out;
    out.BeginObject().Field("event_id", model::MessageIdOf(event)).EndObject();
    return out.Take();
}

}  // namespace

DeliveryLog::Of WebhooksApi::Visible(db::Session& session, const api::Call& call) const {
    const auto id = call.Id<model::WebhookId>();
    if (!WebhookStore::Find(session, call.principal.tenant, id)) throw base::NotFound("Webhook");
    return {call.principal.tenant, id};
}

Webhook WebhooksApi::Ready(db::Session& tx, const api::Call& call) const {
    Webhook hook = Held(tx, call);
    if (!hook.is_enabled()) {
        throw base::Conflict(
            "webhook_disabled", "Webhook is in a state that does not allow this: it is disabled."
        );
    }
    return hook;
}

api::Answer WebhooksApi::ListEvents(const CallPtr& call) {
    const db::PageRequest request = ReadEventPage(*call);
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    const auto page = DeliveryLog::Events(reader, Visible(reader, *call), request);
    return api::ListAnswer(page, [](json::Writer& out, const EventView& event) {
        out.BeginObject();
        WriteEventHead(out, event);
        out.EndObject();
    });
}

api::Answer WebhooksApi::GetEvent(const CallPtr& call) {
    const model::EventId id = EventOf(*call);
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    const auto event = DeliveryLog::FindEvent(reader, Visible(reader, *call), id);
    if (!event) throw base::NotFound("Webhook event");
    json::Writer out;
    out.BeginObject().Field("object", "webhook_event");
    WriteEventHead(out, *event);
    out.Field("next_attempt_at", event->next_attempt_at);
    out.RawField(
        "payload",
        events::Envelope(event->id, event->type, event->created_at, event->sequence, event->data)
    );
    out.EndObject();
    return api::Json(200, out.Take());
}

api::Answer WebhooksApi::ListAttempts(const CallPtr& call) {
    const model::EventId id = EventOf(*call);
    const db::PageRequest request = api::ReadPage(*call);
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    const auto of = Visible(reader, *call);
    if (!DeliveryLog::FindEvent(reader, of, id)) throw base::NotFound("Webhook event");
    return api::ListAnswer(DeliveryLog::Attempts(reader, of, id, request), WriteAttempt);
}

api::Answer WebhooksApi::ReplayEvent(const CallPtr& call) {
    const model::TenantId& tenant = call->principal.tenant;
    const model::EventId id = EventOf(*call);
    auto response = api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "webhooks/events/replay", false,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            const Webhook hook = Held(tx, *call);
            if (!DeliveryLog::FindEvent(tx, {tenant, hook.id}, id)) {
                throw base::NotFound("Webhook event");
            }
            Ready(tx, *call);
            DeliveryStore::AddAll(tx, tenant, hook.id, {&id, 1}, deps_.ids, call->now);
            Audit(tx, *call, "webhook.replayed", hook, ReplayFacts(id));
            json::Writer out;
            out.BeginObject().Field("object", "webhook_event");
            out.Field("id", model::MessageIdOf(id)).EndObject();
            return {202, out.Take()};
        }
    );
    deps_.wake_webhooks();
    return response;
}

api::Answer WebhooksApi::ReplayRange(const CallPtr& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    ReplayJob job = ReadRange(in);
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    const auto answer = [&](db::Transaction& tx) -> access::StoredAnswer {
        const Webhook hook = Ready(tx, *call);
        problems.ThrowIfAny();
        job.id = deps_.ids.Next();
        job.tenant = call->principal.tenant;
        job.webhook = hook.id;
        job.remaining = ReplayStore::Count(tx, job);
        if (job.remaining > 0) ReplayStore::Add(tx, job);
        json::Writer facts;
        facts.BeginObject().Field("since", job.since).Field("queued", job.remaining).EndObject();
        Audit(tx, *call, "webhook.replayed", hook, facts.Take());
        json::Writer out;
        out.BeginObject().Field("object", "webhook_replay").Field("queued", job.remaining);
        out.EndObject();
        return {202, out.Take()};
    };
    auto response =
        api::RunOnce(*call, deps_.pool, deps_.idempotency, "webhooks/replay", false, answer);
    deps_.wake_webhooks();
    return response;
}

api::Answer WebhooksApi::ListDeliveries(const CallPtr& call) {
    const db::PageRequest request = api::ReadPage(*call);
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    return api::ListAnswer(
        DeliveryLog::Deliveries(reader, Visible(reader, *call), request), WriteDelivery
    );
}

api::Answer WebhooksApi::ReplayDelivery(const CallPtr& call) {
    const model::TenantId& tenant = call->principal.tenant;
    const auto id = call->Id<model::DeliveryId>("delivery_id");
    auto response = api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "webhooks/deliveries/replay", false,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            const Webhook hook = Held(tx, *call);
            const DeliveryLog::Of of{tenant, hook.id};
            const auto original = DeliveryLog::FindDelivery(tx, of, id);
            if (!original) throw base::NotFound("Webhook delivery");
            Ready(tx, *call);
            const auto added = DeliveryStore::AddAll(
                tx, tenant, hook.id, {&original->event, 1}, deps_.ids, call->now
            );
            Audit(tx, *call, "webhook.replayed", hook, ReplayFacts(original->event));
            const auto replay = DeliveryLog::FindDelivery(tx, of, added.front());
            OPENSEND_CHECK(replay.has_value(), "what was written can be read");
            json::Writer out;
            out.BeginObject().Field("object", "webhook_delivery_replay");
            out.Key("original_delivery");
            WriteDelivery(out, *original);
            out.Key("replay_delivery");
            WriteDelivery(out, *replay);
            out.EndObject();
            return {202, out.Take()};
        }
    );
    deps_.wake_webhooks();
    return response;
}

}  // namespace opensend::webhooks
