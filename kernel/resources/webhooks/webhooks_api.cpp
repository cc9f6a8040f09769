#include "kernel/resources/webhooks/webhooks_api.h"

#include "kernel/api/audited.h"
#include "kernel/api/idempotent.h"
#include "kernel/api/paging.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/events/event_log.h"
#include "kernel/resources/webhooks/delivery_store.h"
#include "kernel/resources/webhooks/webhook_json.h"

namespace opensend::webhooks {
namespace {

constexpr int64_t kMaxWebhooks = 50;
constexpr std::chrono::hours kOverlap{24};
constexpr db::PageRequest kNoCursor;

void CheckEndpoint(const egress::Guard& guard, const std::string& url) {
    const auto checked = guard.Check(url);
    if (checked.ok()) return;
    const std::string& reason = checked.error().reason;
    // A resolver that cannot answer now decides nothing: the guard runs again at every attempt.
    if (reason == "dns_resolution_failed" || reason == "no_dns_records") return;
    json::Writer details;
    details.BeginObject().Field("reason", reason).EndObject();
    throw base::Error(
        base::ErrorCode::kValidation, "Invalid `endpoint` field: the URL is not allowed."
    )
        .WithReason("unsafe_url")
        .WithExtra(details.Take());
}

base::Secret NewSecret(base::Random& random) {
    return base::Secret("whsec_" + base::Base64Encode(random.String(32)));
}

/// The members that a PATCH names, put into `hook`; the names of those that changed.
std::vector<std::string> ReadChanges(json::ObjectReader& in, Webhook& hook) {
    const Webhook before = hook;
    const json::Value endpoint = in.TakeEither("endpoint", "url");
    if (!endpoint.IsMissing()) hook.endpoint = ReadEndpoint(endpoint, in.problems());
    const json::Value types = in.TakeEither("events", "event_types");
    if (!types.IsMissing()) hook.event_types = ReadEventTypes(types, "events", in.problems());
    const json::Value description = in.Take("description");
    if (description.IsNull()) {
        hook.description.reset();
    } else if (!description.IsMissing()) {
        hook.description = json::CheckText(
            description, "description", {.max = 255, .single_line = true}, in.problems()
        );
    }
    const json::Value status = in.Take("status");
    const json::Value active = in.Take("active");
    if (!status.IsMissing()) {
        const std::string name(status.IsString() ? status.AsString() : "");
        if (name == "enabled" || name == "disabled") {
            hook.status = name;
        } else {
            in.problems().Add("status", "must be enabled or disabled.", "invalid_value");
        }
    } else if (active.IsBool()) {
        hook.status = active.AsBool() ? "enabled" : "disabled";
    } else if (!active.IsMissing()) {
        in.problems().Add("active", "must be true or false.", "invalid_type");
    }
    std::vector<std::string> changed;
    if (hook.endpoint != before.endpoint) changed.emplace_back("endpoint");
    if (hook.event_types != before.event_types) changed.emplace_back("events");
    if (hook.description != before.description) changed.emplace_back("description");
    if (hook.status != before.status) changed.emplace_back("status");
    return changed;
}

/// Where a backfill begins: a sequence number or a time.
std::optional<ReplayJob> ReadBackfill(json::ObjectReader& in) {
    const json::Value from = in.Take("backfill_from");
    if (from.IsAbsent()) return std::nullopt;
    ReplayJob job;
    job.kind = ReplayJob::Kind::kBackfill;
    job.remaining = std::numeric_limits<int64_t>::max();
    const auto time = from.IsString() ? base::ParseIso(from.AsString()) : std::nullopt;
    if (from.IsInt() && from.AsInt() >= 0) {
        job.after_sequence = from.AsInt();
    } else if (time) {
        job.since = *time;
    } else {
        in.problems().Add(
            "backfill_from", "must be a sequence number or an ISO 8601 time.", "invalid_value"
        );
    }
    return job;
}

}  // namespace

void WebhooksApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = WebhooksApi;
    static constexpr RouteClass kA = RouteClass::kAdmin;
    static constexpr RouteClass kR = RouteClass::kRead;
    static constexpr api::RouteTraits kWrite = {.admin_cost = true};
    static constexpr api::RouteTraits kRange = {.admin_cost = true, .export_cost = true};
    // clang-format off
    static const api::Route<WebhooksApi> kRoutes[] = {
        {M::POST, "/webhooks", kA, &A::Create,
         {.id = "webhooks.create", .summary = "Add an endpoint",
          .answers = "201 Webhook", .body = "CreateWebhook"}, kWrite},
        {M::GET, "/webhooks", kR, &A::List,
         {.id = "webhooks.list", .summary = "List endpoints",
          .answers = "200 WebhookItem[]", .takes = "page"}},
        {M::GET, "/webhooks/:id", kR, &A::Get,
         {.id = "webhooks.get", .summary = "Show an endpoint", .answers = "200 Webhook"}},
        {M::PATCH, "/webhooks/:id", kA, &A::Update,
         {.id = "webhooks.update", .summary = "Change an endpoint",
          .answers = "200 Webhook", .body = "UpdateWebhook"}, kWrite},
        {M::DELETE, "/webhooks/:id", kA, &A::Delete,
         {.id = "webhooks.delete", .summary = "Remove an endpoint",
          .answers = "200 WebhookDeleted"}, kWrite},
        {M::POST, "/webhooks/:id/signing-secret/rotate", kA, &A::Rotate,
         {.id = "webhooks.rotate_secret", .summary = "Give an endpoint another secret",
          .answers = "200 WebhookSecret"}, kWrite},
        {M::POST, "/webhooks/:id/test", kA, &A::Test,
         {.id = "webhooks.test", .summary = "Send a test event to an endpoint",
          .answers = "202 WebhookEventRef"}, kWrite},
        {M::POST, "/webhooks/:id/enable", kA, &A::Enable,
         {.id = "webhooks.enable", .summary = "Switch an endpoint on, with what it missed",
          .answers = "200 Webhook", .body = "EnableWebhook"}, kWrite},
        {M::GET, "/webhooks/:id/events", kR, &A::ListEvents,
         {.id = "webhooks.list_events", .summary = "List the events of an endpoint",
          .answers = "200 WebhookEventItem[]", .takes = "limit event_after event_before"}},
        {M::GET, "/webhooks/:id/events/:event_id", kR, &A::GetEvent,
         {.id = "webhooks.get_event", .summary = "Show an event as it was sent",
          .answers = "200 WebhookEvent"}},
        {M::GET, "/webhooks/:id/events/:event_id/attempts", kR, &A::ListAttempts,
         {.id = "webhooks.list_attempts", .summary = "List the attempts to deliver an event",
          .answers = "200 WebhookAttempt[]", .takes = "page"}},
        {M::POST, "/webhooks/:id/events/:event_id/replay", kA, &A::ReplayEvent,
         {.id = "webhooks.replay_event", .summary = "Send an event again",
          .answers = "202 WebhookEventRef"}, kWrite},
        {M::POST, "/webhooks/:id/replay", kA, &A::ReplayRange,
         {.id = "webhooks.replay", .summary = "Send the events of a time again",
          .answers = "202 WebhookReplay", .body = "ReplayWebhook"}, kRange},
        {M::GET, "/webhooks/:id/deliveries", kR, &A::ListDeliveries,
         {.id = "webhooks.list_deliveries", .summary = "List deliveries to an endpoint",
          .answers = "200 WebhookDelivery[]", .takes = "page"}},
        {M::POST, "/webhooks/:id/deliveries/:delivery_id/replay", kA, &A::ReplayDelivery,
         {.id = "webhooks.replay_delivery", .summary = "Repeat a delivery",
          .answers = "202 WebhookDeliveryReplay"}, kWrite},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

void WebhooksApi::Audit(
    db::Session& tx,
    const api::Call& call,
    std::string_view action,
    const Webhook& hook,
    std::string metadata
) {
    access::Audit(
        tx, deps_.ids,
        api::AuditOf(call, action, "webhook", hook.id.ToString(), std::move(metadata))
    );
}

Webhook WebhooksApi::Held(db::Session& tx, const api::Call& call) const {
    auto hook = WebhookStore::Lock(tx, call.principal.tenant, call.Id<model::WebhookId>());
    if (!hook) throw base::NotFound("Webhook");
    if (hook->prev_expires_at && *hook->prev_expires_at <= call.now) hook->prev_expires_at.reset();
    if (!hook->prev_expires_at) hook->signing_secret_prev.reset();
    return *hook;
}

base::Secret WebhooksApi::OpenSecret(const api::Call& call, const Webhook& hook) const {
    const std::string org = call.principal.tenant.ToString();
    const std::string row = hook.id.ToString();
    auto secret = deps_.keyring.Open({"webhooks", "signing_secret", org, row}, hook.signing_secret);
    if (!secret.ok()) throw base::Unavailable("encryption_unavailable", secret.error());
    return std::move(*secret);
}

std::string WebhooksApi::Shown(
    db::Session& tx, const api::Call& call, const Webhook& hook, bool log_read
) {
    db::PageRequest newest = kNoCursor;
    const auto recent = DeliveryLog::Deliveries(tx, {call.principal.tenant, hook.id}, newest).rows;
    if (call.principal.permission != model::KeyPermission::kFullAccess) {
        return WebhookJson(hook, nullptr, recent);
    }
    const base::Secret secret = OpenSecret(call, hook);
    if (log_read) Audit(tx, call, "webhook.secret_read", hook, "{}");
    return WebhookJson(hook, &secret, recent);
}

api::Answer WebhooksApi::Create(const CallPtr& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    Webhook hook;
    const json::Value endpoint = in.TakeEither("endpoint", "url");
    if (endpoint.IsAbsent()) {
        problems.AddMissing("endpoint");
    } else {
        hook.endpoint = ReadEndpoint(endpoint, problems);
    }
    const json::Value types = in.TakeEither("events", "event_types");
    if (types.IsAbsent()) {
        problems.AddMissing("events");
    } else {
        hook.event_types = ReadEventTypes(types, "events", problems);
    }
    hook.description = in.OptionalText("description", {.max = 255, .single_line = true});
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    CheckEndpoint(deps_.guard, hook.endpoint);

    hook.id = model::WebhookId(deps_.ids.Next());
    hook.updated_at = call->now;
    const model::TenantId& tenant = call->principal.tenant;
    const std::string org = tenant.ToString();
    const std::string row = hook.id.ToString();
    const base::Secret secret = NewSecret(deps_.random);
    hook.signing_secret =
        deps_.keyring.Seal({"webhooks", "signing_secret", org, row}, secret, deps_.random);
    return api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "webhooks", true,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            if (WebhookStore::Count(tx, tenant) >= kMaxWebhooks) {
                throw base::Invalid(
                    "endpoint", "the organization has too many webhooks.", "too_many"
                );
            }
            WebhookStore::Insert(tx, tenant, hook);
            json::Writer facts;
            facts.BeginObject().Field("endpoint", hook.endpoint);
            facts.RawField("events", hook.event_types).EndObject();
            Audit(tx, *call, "webhook.created", hook, facts.Take());
            return {201, WebhookJson(hook, &secret, {})};
        }
    );
}

api::Answer WebhooksApi::List(const CallPtr& call) {
    const db::PageRequest request = api::ReadPage(*call, 100);
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    auto page = WebhookStore::List(reader, call->principal.tenant, request);
    return api::ListAnswer(page, [&](json::Writer& out, Webhook hook) {
        if (hook.prev_expires_at && *hook.prev_expires_at <= call->now)
            hook.prev_expires_at.reset();
        out.BeginObject();
        WriteHead(out, hook);
        out.EndObject();
    });
}

api::Answer WebhooksApi::Get(const CallPtr& call) {
    db::Transaction tx(deps_.pool, db::Plane::kAccept, db::Scope(call->principal.tenant));
    const Webhook hook = Held(tx, *call);
    std::string body = Shown(tx, *call, hook, true);
    tx.Commit();
    return api::Json(200, std::move(body));
}

api::Answer WebhooksApi::Update(const CallPtr& call) {
    const model::TenantId& tenant = call->principal.tenant;
    const auto id = call->Id<model::WebhookId>();
    json::Problems problems;
    {
        // The look-up of the endpoint's name must not happen inside the transaction.
        db::Reader reader(deps_.pool, db::Scope(tenant));
        if (!WebhookStore::Find(reader, tenant, id)) throw base::NotFound("Webhook");
    }
    json::ObjectReader probe(call->body(), "", problems);
    Webhook wanted;
    ReadChanges(probe, wanted);
    call->facts->ignored_fields = probe.Finish(call->strict_fields);
    problems.ThrowIfAny();
    if (!wanted.endpoint.empty()) CheckEndpoint(deps_.guard, wanted.endpoint);

    db::Transaction tx(deps_.pool, db::Plane::kAccept, db::Scope(tenant));
    Webhook hook = Held(tx, *call);
    const Webhook before = hook;
    json::ObjectReader in(call->body(), "", problems);
    const std::vector<std::string> changed = ReadChanges(in, hook);
    if (!changed.empty()) {
        hook.updated_at = call->now;
        hook.disabled_reason.reset();
        WebhookStore::Save(tx, tenant, hook);
        const bool switched = hook.status != before.status;
        if (switched && !hook.is_enabled()) WebhookStore::StopDeliveries(tx, tenant, id);
        // A new address, or one that was switched on, begins without a history.
        const bool fresh = hook.endpoint != before.endpoint || (switched && hook.is_enabled());
        if (fresh) EndpointQueue::Reset(tx, tenant, id);
        json::Writer facts;
        facts.BeginObject().Field("changed", changed).Field("status", hook.status);
        facts.Field("endpoint", hook.endpoint).EndObject();
        Audit(tx, *call, "webhook.updated", hook, facts.Take());
    }
    std::string body = Shown(tx, *call, hook, false);
    tx.Commit();
    deps_.wake_webhooks();
    return api::Json(200, std::move(body));
}

api::Answer WebhooksApi::Delete(const CallPtr& call) {
    db::Transaction tx(deps_.pool, db::Plane::kAccept, db::Scope(call->principal.tenant));
    const Webhook hook = Held(tx, *call);
    WebhookStore::Delete(tx, call->principal.tenant, hook.id);
    json::Writer facts;
    facts.BeginObject().Field("endpoint", hook.endpoint).EndObject();
    Audit(tx, *call, "webhook.deleted", hook, facts.Take());
    tx.Commit();
    json::Writer out;
    out.BeginObject().Field("object", "webhook").Field("id", hook.id.ToString());
    out.Field("deleted", true).EndObject();
    return api::Json(200, out.Take());
}

api::Answer WebhooksApi::Rotate(const CallPtr& call) {
    const model::TenantId& tenant = call->principal.tenant;
    return api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "webhooks/rotate", true,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            Webhook hook = Held(tx, *call);
            const std::string org = tenant.ToString();
            const std::string row = hook.id.ToString();
            const base::Secret old = OpenSecret(*call, hook);
            const base::Secret secret = NewSecret(deps_.random);
            hook.signing_secret_prev = deps_.keyring.Seal(
                {"webhooks", "signing_secret_prev", org, row}, old, deps_.random
            );
            hook.signing_secret =
                deps_.keyring.Seal({"webhooks", "signing_secret", org, row}, secret, deps_.random);
            hook.prev_expires_at = call->now + kOverlap;
            hook.updated_at = call->now;
            WebhookStore::Save(tx, tenant, hook);
            Audit(tx, *call, "webhook.secret_rotated", hook, "{}");
            json::Writer out;
            out.BeginObject().Field("object", "webhook").Field("id", row);
            out.Field("signing_secret", std::string(secret.Reveal()));
            out.Field("previous_secret_expires_at", hook.prev_expires_at).EndObject();
            return {200, out.Take()};
        }
    );
}

api::Answer WebhooksApi::Test(const CallPtr& call) {
    const model::TenantId& tenant = call->principal.tenant;
    auto response = api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "webhooks/test", false,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            const Webhook hook = Ready(tx, *call);
            const model::EventId event(deps_.ids.Next());
            json::Writer data;
            data.BeginObject().Field("webhook_id", hook.id.ToString());
            data.Field("message", "Test event").EndObject();
            events::Append(
                tx, {event, tenant, model::EventType::kWebhookTest, call->now, hook.id.ToString(),
                     data.Take(), base::Cat("webhook.test:", event.ToString())}
            );
            json::Writer out;
            out.BeginObject().Field("object", "webhook_event");
            out.Field("id", model::MessageIdOf(event)).EndObject();
            return {202, out.Take()};
        }
    );
    deps_.wake_events();
    return response;
}

api::Answer WebhooksApi::Enable(const CallPtr& call) {
    const model::TenantId& tenant = call->principal.tenant;
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    auto backfill = ReadBackfill(in);
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    auto response = api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "webhooks/enable", true,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            Webhook hook = Held(tx, *call);
            if (!hook.is_enabled()) {
                hook.status = "enabled";
                hook.disabled_reason.reset();
                hook.updated_at = call->now;
                WebhookStore::Save(tx, tenant, hook);
                EndpointQueue::Reset(tx, tenant, hook.id);
            }
            if (backfill) {
                backfill->id = deps_.ids.Next();
                backfill->tenant = tenant;
                backfill->webhook = hook.id;
                backfill->types = NamesList(hook.event_types);
                ReplayStore::Add(tx, *backfill);
            }
            json::Writer facts;
            facts.BeginObject().Field("backfill", backfill.has_value()).EndObject();
            Audit(tx, *call, "webhook.enabled", hook, facts.Take());
            return {200, Shown(tx, *call, hook, false)};
        }
    );
    deps_.wake_webhooks();
    return response;
}

}  // namespace opensend::webhooks
