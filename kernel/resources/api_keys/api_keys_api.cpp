#include "kernel/resources/api_keys/api_keys_api.h"

#include <algorithm>

#include "kernel/api/audited.h"
#include "kernel/api/idempotent.h"
#include "kernel/api/paging.h"
#include "kernel/base/cidr.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/crypto/api_key.h"
#include "kernel/crypto/digest.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/domains/domain_store.h"

namespace opensend::api_keys {
namespace {

constexpr std::string_view kFields[] = {
    "name", "permission", "domain_id", "expires_at", "allowed_ips"};
constexpr int64_t kMaxKeys = 500;
constexpr int64_t kGraceSeconds = 86'400;
constexpr int64_t kMaxGraceSeconds = 604'800;
constexpr std::chrono::seconds kMinLife{60};
constexpr std::chrono::hours kMaxLife{24 * 3653};

void WriteKey(
    json::Writer& out, const ApiKey& key, base::Time now, const base::Secret* token = nullptr
) {
    out.BeginObject().Field("object", "api_key").Field("id", key.id.ToString());
    out.Field("name", key.name).Field("permission", model::ToText(key.permission));
    out.Field("domain_id", key.domain ? std::optional(key.domain->ToString()) : std::nullopt);
    out.Field("domain", key.domain_name).Field("expires_at", key.expires_at);
    out.RawField("allowed_ips", key.allowed_ips).Field("token_preview", key.token_preview);
    out.Field("last_used_at", key.last_used_at);
    out.Field("created_at", key.id.uuid().Timestamp()).Field("created_by", key.created_by);
    const bool ending = key.previous_until && *key.previous_until > now;
    out.Field("previous_token_expires_at", ending ? key.previous_until : std::nullopt);
    if (token != nullptr) out.Field("token", std::string(token->Reveal()));
    out.EndObject();
}

void ReadPermission(json::ObjectReader& in, ApiKey& key) {
    const json::Value value = in.Take("permission");
    if (value.IsAbsent()) return;
    const auto permission =
        value.IsString() ? model::ParseKeyPermission(value.AsString()) : std::nullopt;
    if (permission) {
        key.permission = *permission;
    } else {
        in.problems().Add(
            base::ErrorCode::kInvalidAccess, "permission",
            "must be full_access, sending_access or read_access.", ""
        );
    }
}

void ReadAllowedIps(json::ObjectReader& in, ApiKey& key) {
    const json::Value value = in.Take("allowed_ips");
    if (value.IsMissing()) return;
    if (value.IsNull()) {
        key.allowed_ips = "[]";
        return;
    }
    if (!value.IsArray()) {
        in.problems().Add("allowed_ips", "must be an array.", "invalid_type");
        return;
    }
    if (value.size() > 50) in.problems().Add("allowed_ips", "at most 50 entries.", "too_many");
    json::Writer list;
    list.BeginArray();
    for (size_t i = 0; i < value.size(); ++i) {
        const json::Value entry = value.At(i);
        const auto cidr = entry.IsString() ? base::ParseCidr(entry.AsString()) : std::nullopt;
        if (cidr) {
            list.String(cidr->ToString());
        } else {
            in.problems().Add(
                base::Cat("allowed_ips.", i), "must be a CIDR range.", "invalid_format"
            );
        }
    }
    list.EndArray();
    key.allowed_ips = list.Take();
}

void ReadExpiry(json::ObjectReader& in, ApiKey& key, base::Time now) {
    const json::Value value = in.Take("expires_at");
    if (value.IsMissing()) return;
    key.expires_at = std::nullopt;
    if (value.IsNull()) return;
    const auto time = value.IsString() ? base::ParseIso(value.AsString()) : std::nullopt;
    if (!time) {
        in.problems().Add("expires_at", "must be an ISO 8601 time.", "invalid_format");
    } else if (*time < now + kMinLife || *time > now + kMaxLife) {
        in.problems().Add("expires_at", "must be 60 seconds to 10 years ahead.", "out_of_range");
    } else {
        key.expires_at = time;
    }
}

void ReadDomain(json::ObjectReader& in, ApiKey& key) {
    const json::Value value = in.Take("domain_id");
    if (value.IsMissing()) return;
    key.domain = std::nullopt;
    if (value.IsNull()) return;
    if (value.IsString()) key.domain = model::DomainId::Parse(value.AsString());
    if (!key.domain) in.problems().Add("domain_id", "must be a UUID.", "invalid_format");
}

/// The fields a key is made or changed with, in the order of the contract.
void ReadFields(json::ObjectReader& in, ApiKey& key, base::Time now, bool making) {
    const json::TextRule name{.min = 1, .max = 50, .single_line = true, .trim = true};
    auto text = making ? in.RequireText("name", name) : in.OptionalText("name", name);
    if (text) key.name = std::move(*text);
    ReadPermission(in, key);
    ReadDomain(in, key);
    ReadExpiry(in, key, now);
    ReadAllowedIps(in, key);
}

void FindDomain(db::Session& tx, const model::TenantId& tenant, ApiKey& key) {
    key.domain_name = std::nullopt;
    if (!key.domain) return;
    const auto domain = domains::DomainStore::Find(tx, tenant, *key.domain);
    if (!domain) throw base::Invalid("domain_id", "no such domain.", "unknown_id");
    key.domain_name = domain->name;
}

/// What an audit entry tells of a key.
std::string AuditFacts(const ApiKey& key) {
    json::Writer out;
    out.BeginObject().Field("name", key.name).Field("permission", model::ToText(key.permission));
    out.Field("domain_id", key.domain ? std::optional(key.domain->ToString()) : std::nullopt);
    out.Field("expires_at", key.expires_at).RawField("allowed_ips", key.allowed_ips);
    out.EndObject();
    return out.Take();
}

/// Every range of `inner` lies in one of `outer`; an empty outer list allows all.
bool IsInside(const std::string& inner, const std::string& outer) {
    const auto outer_list = json::Document::Parse(outer);
    const auto inner_list = json::Document::Parse(inner);
    if (!outer_list.ok() || !inner_list.ok()) return false;
    const json::Value wide = outer_list->root();
    const json::Value narrow = inner_list->root();
    if (wide.size() == 0) return true;
    if (narrow.size() == 0) return false;
    for (size_t i = 0; i < narrow.size(); ++i) {
        const auto range = base::ParseCidr(narrow.At(i).AsString());
        bool inside = false;
        for (size_t k = 0; k < wide.size(); ++k) {
            const auto around = base::ParseCidr(wide.At(k).AsString());
            inside = inside || (range && around && around->prefix <= range->prefix &&
                                around->Contains(range->base));
        }
        if (!inside) return false;
    }
    return true;
}

/// KEY-26: a minted key is nowhere wider than its minter.
void RefuseEscalation(const model::Principal& minter, const ApiKey& key) {
    const bool narrower_domain = !minter.domain || (key.domain && *key.domain == *minter.domain);
    const bool narrower_time =
        !minter.expires_at || (key.expires_at && *key.expires_at <= *minter.expires_at);
    const bool narrower_scope = minter.permission == model::KeyPermission::kFullAccess ||
                                minter.permission == key.permission;
    const bool narrower_addresses = IsInside(key.allowed_ips, minter.allowed_ips);
    if (narrower_domain && narrower_time && narrower_scope && narrower_addresses) return;
    throw base::Error(
        base::ErrorCode::kForbidden, "A key cannot make a key that may do more than itself."
    )
        .WithReason("scope_escalation");
}

}  // namespace

MintedKey Mint(
    ApiKey key,
    const access::InstanceKeys& instance_keys,
    base::UuidSource& ids,
    base::Random& random
) {
    auto made = crypto::MakeApiKey(random);
    const auto& pepper = instance_keys.Active("apikey_pepper");
    MintedKey minted;
    if (key.id == model::ApiKeyId()) key.id = model::ApiKeyId(ids.Next());
    key.token_preview = crypto::TokenPreview(made.token.Reveal());
    minted.credential.ref = made.ref;
    minted.credential.pepper_kid = pepper.kid;
    minted.credential.mac =
        crypto::HmacSha256(pepper.bytes, crypto::ApiKeyMacInput(made.ref, made.secret.Reveal()));
    minted.key = std::move(key);
    minted.token = std::move(made.token);
    return minted;
}

void ApiKeysApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = ApiKeysApi;
    static constexpr RouteClass kA = RouteClass::kAdmin;
    static constexpr RouteClass kR = RouteClass::kRead;
    static constexpr api::RouteTraits kAdminWrite = {.admin_cost = true};
    // A key of one domain may mint keys of that domain.
    static constexpr api::RouteTraits kMint = {.admin_cost = true, .open_to_restricted = true};
    // clang-format off
    static const api::Route<ApiKeysApi> kRoutes[] = {
        {M::POST, "/api-keys", kA, &A::Create,
         {.id = "api-keys.create", .summary = "Make an API key",
          .answers = "201 ApiKeyWithToken", .body = "CreateApiKey"}, kMint},
        {M::GET, "/api-keys", kR, &A::List,
         {.id = "api-keys.list", .summary = "List API keys",
          .answers = "200 ApiKey[]", .takes = "page"}},
        {M::GET, "/api-keys/:id", kR, &A::Get,
         {.id = "api-keys.get", .summary = "Show an API key", .answers = "200 ApiKey"}},
        {M::PATCH, "/api-keys/:id", kA, &A::Update,
         {.id = "api-keys.update", .summary = "Change an API key",
          .answers = "200 ApiKey", .body = "UpdateApiKey"}, kAdminWrite},
        {M::POST, "/api-keys/:id/rotate", kA, &A::Rotate,
         {.id = "api-keys.rotate", .summary = "Give an API key another secret",
          .answers = "201 ApiKeyWithToken", .body = "RotateApiKey"}, kAdminWrite},
        {M::DELETE, "/api-keys/:id", kA, &A::Delete,
         {.id = "api-keys.delete", .summary = "Revoke an API key",
          .answers = "200 ApiKeyDeleted"}, kAdminWrite},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

api::Answer ApiKeysApi::Create(const std::shared_ptr<api::Call>& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    ApiKey key;
    ReadFields(in, key, call->now, true);
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    // Before a replay, which may hold the token of a wider key.
    RefuseEscalation(call->principal, key);
    key.created_by = call->principal.Actor();
    const model::TenantId& tenant = call->principal.tenant;

    return api::RunOnce(
        *call, pool_, idempotency_, "api-keys", true,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            FindDomain(tx, tenant, key);
            if (ApiKeyStore::Count(tx, tenant) >= kMaxKeys) {
                throw base::Invalid("name", "the organization has too many keys.", "too_many");
            }
            const MintedKey minted = Mint(key, instance_keys_, ids_, random_);
            ApiKeyStore::Insert(tx, tenant, minted.key, minted.credential, call->now);
            access::Audit(
                tx, ids_,
                api::AuditOf(
                    *call, "api_key.created", "api_key", minted.key.id.ToString(),
                    AuditFacts(minted.key)
                )
            );
            json::Writer out;
            WriteKey(out, minted.key, call->now, &minted.token);
            return {201, out.Take()};
        }
    );
}

api::Answer ApiKeysApi::List(const std::shared_ptr<api::Call>& call) {
    const db::PageRequest request = api::ReadPage(*call, 100);
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const auto page = ApiKeyStore::List(reader, call->principal.tenant, request);
    return api::ListAnswer(page, [&](json::Writer& out, const ApiKey& key) {
        WriteKey(out, key, call->now);
    });
}

api::Answer ApiKeysApi::Get(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::ApiKeyId>();
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const auto key = ApiKeyStore::Find(reader, call->principal.tenant, id);
    if (!key) throw base::NotFound("API key");
    json::Writer out;
    WriteKey(out, *key, call->now);
    return api::Json(200, out.Take());
}

api::Answer ApiKeysApi::Update(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::ApiKeyId>();
    const model::TenantId& tenant = call->principal.tenant;
    db::Transaction tx(pool_, db::Plane::kAccept, db::Scope(call->principal.tenant));
    auto key = ApiKeyStore::Find(tx, tenant, id);
    if (!key) throw base::NotFound("API key");
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    bool any = false;
    for (const std::string_view field : kFields) any = any || !call->body().Find(field).IsMissing();
    if (call->body().IsObject() && !any) {
        problems.Add("", "Give at least one field to change.", "no_fields");
    }
    ReadFields(in, *key, call->now, false);
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    RefuseEscalation(call->principal, *key);
    FindDomain(tx, tenant, *key);
    ApiKeyStore::Update(tx, tenant, *key);
    access::Audit(
        tx, ids_, api::AuditOf(*call, "api_key.updated", "api_key", id.ToString(), AuditFacts(*key))
    );
    tx.Commit();
    directory_.Invalidate();
    json::Writer out;
    WriteKey(out, *key, call->now);
    return api::Json(200, out.Take());
}

api::Answer ApiKeysApi::Rotate(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::ApiKeyId>();
    const model::TenantId& tenant = call->principal.tenant;
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    const std::chrono::seconds grace(
        in.OptionalInt("grace_period_seconds", 0, kMaxGraceSeconds).value_or(kGraceSeconds)
    );
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    {
        // Before a replay, which may hold the token of a wider key.
        db::Reader reader(pool_, db::Scope(tenant));
        const auto known = ApiKeyStore::Find(reader, tenant, id);
        if (known) RefuseEscalation(call->principal, *known);
    }
    http::Response response = api::RunOnce(
        *call, pool_, idempotency_, "api-keys/rotate", true,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            auto key = ApiKeyStore::Find(tx, tenant, id);
            if (!key) throw base::NotFound("API key");
            if (key->expires_at && *key->expires_at <= call->now) {
                throw base::Conflict(
                    "api_key_expired",
                    "API key is in a state that does not allow this: it has expired."
                );
            }
            RefuseEscalation(call->principal, *key);
            MintedKey minted = Mint(*key, instance_keys_, ids_, random_);
            minted.key.previous_until = call->now + grace;
            ApiKeyStore::Rotate(
                tx, tenant, minted.key, minted.credential, call->now, *minted.key.previous_until
            );
            access::Audit(
                tx, ids_,
                api::AuditOf(
                    *call, "api_key.rotated", "api_key", id.ToString(),
                    base::Cat("{\"grace_period_seconds\":", grace.count(), '}')
                )
            );
            json::Writer out;
            WriteKey(out, minted.key, call->now, &minted.token);
            return {201, out.Take()};
        }
    );
    directory_.Invalidate();
    return response;
}

api::Answer ApiKeysApi::Delete(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::ApiKeyId>();
    db::Transaction tx(pool_, db::Plane::kAccept, db::Scope(call->principal.tenant));
    if (!ApiKeyStore::Revoke(tx, call->principal.tenant, id, call->now)) {
        throw base::NotFound("API key");
    }
    access::Audit(tx, ids_, api::AuditOf(*call, "api_key.deleted", "api_key", id.ToString()));
    tx.Commit();
    directory_.Invalidate();
    json::Writer out;
    out.BeginObject().Field("object", "api_key").Field("id", id.ToString());
    out.Field("deleted", true).EndObject();
    return api::Json(200, out.Take());
}

}  // namespace opensend::api_keys
