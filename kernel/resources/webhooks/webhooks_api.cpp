#include "kernel/resources/webhooks/webhooks_api.h"

#include <algorithm>

#include "kernel/api/idempotent.h"
#include "kernel/api/paging.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/db/transaction.h"
#include "kernel/model/event_type.h"

namespace opensend::webhooks {
namespace {

constexpr int64_t kMaxWebhooks = 50;

/// JSON array of the wanted types, aliases resolved, duplicates dropped, order kept.
std::string ReadEventTypes(json::ObjectReader& in) {
    const json::Value value = in.TakeEither("events", "event_types");
    json::Writer out;
    out.BeginArray();
    if (value.IsAbsent()) {
        in.problems().AddMissing("events");
    } else if (!value.IsArray()) {
        in.problems().Add("events", "must be an array.", "invalid_type");
    } else if (value.size() == 0) {
        in.problems().Add("events", "needs at least one type.", "too_few");
    }
    std::vector<std::string> seen;
    for (size_t i = 0; value.IsArray() && i < value.size(); ++i) {
        const json::Value entry = value.At(i);
        std::string name;
        if (entry.IsString() && entry.AsString() == "*") name = "*";
        const auto type = entry.IsString() ? model::ParseEventType(entry.AsString()) : std::nullopt;
        if (type) name = std::string(model::ToText(*type));
        if (name.empty()) {
            in.problems().Add(base::Cat("events.", i), "is not an event type.", "invalid_value");
        } else if (std::find(seen.begin(), seen.end(), name) == seen.end()) {
            seen.push_back(name);
            out.String(name);
        }
    }
    out.EndArray();
    return out.Take();
}

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

void WriteHead(json::Writer& out, const Webhook& hook) {
    out.Field("id", hook.id.ToString()).Field("endpoint", hook.endpoint);
    out.RawField("events", hook.event_types).Field("status", hook.status);
    out.Field("description", hook.description);
    out.Field("created_at", hook.id.uuid().Timestamp()).Field("updated_at", hook.updated_at);
    out.Field("disabled_reason", hook.disabled_reason);
    out.Field("previous_secret_expires_at", hook.prev_expires_at);
}

void WriteRecent(json::Writer& out, const std::vector<RecentDelivery>& deliveries) {
    out.Key("recent_deliveries").BeginArray();
    for (const RecentDelivery& d : deliveries) {
        out.BeginObject().Field("id", d.id.ToString());
        out.Field("event_id", model::MessageIdOf(d.event)).Field("event_type", d.event_type);
        out.Field("status", d.status).Field("attempt", d.attempt);
        out.Field("status_code", d.status_code).Field("response_body", d.response_body);
        out.Field("attempted_at", d.attempted_at).Field("next_retry_at", d.next_retry_at);
        out.Field("created_at", d.id.uuid().Timestamp()).EndObject();
    }
    out.EndArray();
}

std::string WebhookJson(
    const Webhook& hook, const base::Secret* secret, const std::vector<RecentDelivery>& recent
) {
    json::Writer out;
    out.BeginObject().Field("object", "webhook");
    WriteHead(out, hook);
    if (secret != nullptr) {
        out.Field("signing_secret", std::string(secret->Reveal()));
    } else {
        out.NullField("signing_secret");
    }
    WriteRecent(out, recent);
    out.EndObject();
    return out.Take();
}

}  // namespace

void WebhooksApi::Mount(api::Router& router) {
    using model::RouteClass;
    static constexpr api::RouteTraits kAdminWrite = {.admin_cost = true};
    static const api::Route<WebhooksApi> kRoutes[] = {
        {api::Method::POST,   "/webhooks",          RouteClass::kAdmin, &WebhooksApi::Create, kAdminWrite},
        {api::Method::GET,    "/webhooks",          RouteClass::kRead,  &WebhooksApi::List  },
        {api::Method::GET,    "/webhooks/:id",    RouteClass::kRead,  &WebhooksApi::Get                    },
        {api::Method::DELETE, "/webhooks/:id", RouteClass::kAdmin,                                                   &WebhooksApi::Delete,
         kAdminWrite           },
    };
    router.Mount(kRoutes, *this);
}

api::Answer WebhooksApi::Create(const std::shared_ptr<api::Call>& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    Webhook hook;
    const json::Value endpoint = in.TakeEither("endpoint", "url");
    if (endpoint.IsAbsent()) {
        problems.AddMissing("endpoint");
    } else {
        hook.endpoint = json::CheckText(
                            endpoint, "endpoint",
                            {.min = 1, .max = 2048, .single_line = true, .trim = true}, problems
        )
                            .value_or("");
    }
    hook.event_types = ReadEventTypes(in);
    hook.description = in.OptionalText("description", {.max = 255, .single_line = true});
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    CheckEndpoint(guard_, hook.endpoint);

    hook.id = model::WebhookId(ids_.Next());
    hook.updated_at = call->now;
    const model::TenantId& tenant = call->principal.tenant;
    const std::string org = tenant.ToString();
    const std::string row = hook.id.ToString();
    const base::Secret secret("whsec_" + base::Base64Encode(random_.String(32)));
    hook.signing_secret = keyring_.Seal({"webhooks", "signing_secret", org, row}, secret, random_);
    return api::RunOnce(
        *call, pool_, idempotency_, "webhooks", true,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            if (WebhookStore::Count(tx, tenant) >= kMaxWebhooks) {
                throw base::Invalid(
                    "endpoint", "the organization has too many webhooks.", "too_many"
                );
            }
            WebhookStore::Insert(tx, tenant, hook);
            return {201, WebhookJson(hook, &secret, {})};
        }
    );
}

api::Answer WebhooksApi::List(const std::shared_ptr<api::Call>& call) {
    const db::PageRequest request = api::ReadPage(*call, 100);
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const auto page = WebhookStore::List(reader, call->principal.tenant, request);
    return api::ListAnswer(page, [](json::Writer& out, const Webhook& hook) {
        out.BeginObject();
        WriteHead(out, hook);
        out.EndObject();
    });
}

api::Answer WebhooksApi::Get(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::WebhookId>();
    const model::TenantId& tenant = call->principal.tenant;
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const auto hook = WebhookStore::Find(reader, tenant, id);
    if (!hook) throw base::NotFound("Webhook");
    const auto recent = WebhookStore::Recent(reader, tenant, id);
    if (call->principal.permission != model::KeyPermission::kFullAccess) {
        return api::Json(200, WebhookJson(*hook, nullptr, recent));
    }
    const std::string org = tenant.ToString();
    const std::string row = id.ToString();
    const auto secret =
        keyring_.Open({"webhooks", "signing_secret", org, row}, hook->signing_secret);
    if (!secret.ok()) throw base::Unavailable("encryption_unavailable", secret.error());
    return api::Json(200, WebhookJson(*hook, &secret.value(), recent));
}

api::Answer WebhooksApi::Delete(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::WebhookId>();
    db::Transaction tx(pool_, db::Plane::kEvents, db::Scope(call->principal.tenant));
    if (!WebhookStore::Delete(tx, call->principal.tenant, id)) throw base::NotFound("Webhook");
    tx.Commit();
    json::Writer out;
    out.BeginObject().Field("object", "webhook").Field("id", id.ToString());
    out.Field("deleted", true).EndObject();
    return api::Json(200, out.Take());
}

}  // namespace opensend::webhooks
