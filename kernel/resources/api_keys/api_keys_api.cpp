#include "kernel/resources/api_keys/api_keys_api.h"

#include <algorithm>

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

constexpr int64_t kMaxKeys = 500;
constexpr std::chrono::seconds kMinLife{60};
constexpr std::chrono::hours kMaxLife{24 * 3653};

void WriteKey(json::Writer& out, const ApiKey& key, const base::Secret* token) {
    out.BeginObject().Field("object", "api_key").Field("id", key.id.ToString());
    out.Field("name", key.name).Field("permission", model::ToText(key.permission));
    out.Field("domain_id", key.domain ? std::optional(key.domain->ToString()) : std::nullopt);
    out.Field("domain", key.domain_name).Field("expires_at", key.expires_at);
    out.RawField("allowed_ips", key.allowed_ips).Field("token_preview", key.token_preview);
    out.Field("last_used_at", key.last_used_at);
    out.Field("created_at", key.id.uuid().Timestamp()).Field("created_by", key.created_by);
    out.NullField("previous_token_expires_at");
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
    if (value.IsAbsent()) return;
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
    const auto text = in.OptionalText("expires_at");
    if (!text) return;
    const auto time = base::ParseIso(*text);
    if (!time) {
        in.problems().Add("expires_at", "must be an ISO 8601 time.", "invalid_format");
    } else if (*time < now + kMinLife || *time > now + kMaxLife) {
        in.problems().Add("expires_at", "must be 60 seconds to 10 years ahead.", "out_of_range");
    } else {
        key.expires_at = time;
    }
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
    key.id = model::ApiKeyId(ids.Next());
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
    static constexpr api::RouteTraits kAdminWrite = {.admin_cost = true};
    static const api::Route<ApiKeysApi> kRoutes[] = {
        {api::Method::POST,   "/api-keys",         RouteClass::kAdmin, &ApiKeysApi::Create, kAdminWrite},
        {api::Method::GET,    "/api-keys",         RouteClass::kRead,  &ApiKeysApi::List  },
        {api::Method::GET,    "/api-keys/:id",   RouteClass::kRead,   &ApiKeysApi::Get                   },
        {api::Method::DELETE, "/api-keys/:id", RouteClass::kAdmin,                                                  &ApiKeysApi::Delete,
         kAdminWrite           },
    };
    router.Mount(kRoutes, *this);
}

api::Answer ApiKeysApi::Create(const std::shared_ptr<api::Call>& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    ApiKey key;
    key.name = in.RequireText("name", {.min = 1, .max = 50, .single_line = true, .trim = true})
                   .value_or("");
    ReadPermission(in, key);
    if (const auto text = in.OptionalText("domain_id")) {
        key.domain = model::DomainId::Parse(*text);
        if (!key.domain) problems.Add("domain_id", "must be a UUID.", "invalid_format");
    }
    ReadExpiry(in, key, call->now);
    ReadAllowedIps(in, key);
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    key.created_by = call->principal.Actor();
    const model::TenantId& tenant = call->principal.tenant;

    http::Response response = api::RunOnce(
        *call, pool_, idempotency_, "api-keys", true,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            if (key.domain) {
                const auto domain = domains::DomainStore::Find(tx, tenant, *key.domain);
                if (!domain) throw base::Invalid("domain_id", "no such domain.", "unknown_id");
                key.domain_name = domain->name;
            }
            RefuseEscalation(call->principal, key);
            if (ApiKeyStore::Count(tx, tenant) >= kMaxKeys) {
                throw base::Invalid("name", "the organization has too many keys.", "too_many");
            }
            const MintedKey minted = Mint(key, instance_keys_, ids_, random_);
            ApiKeyStore::Insert(tx, tenant, minted.key, minted.credential, call->now);
            json::Writer out;
            WriteKey(out, minted.key, &minted.token);
            return {201, out.Take()};
        }
    );
    return response;
}

api::Answer ApiKeysApi::List(const std::shared_ptr<api::Call>& call) {
    const db::PageRequest request = api::ReadPage(*call, 100);
    db::Reader reader(pool_);
    const auto page = ApiKeyStore::List(reader, call->principal.tenant, request);
    return api::ListAnswer(page, [](json::Writer& out, const ApiKey& key) {
        WriteKey(out, key, nullptr);
    });
}

api::Answer ApiKeysApi::Get(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::ApiKeyId>();
    db::Reader reader(pool_);
    const auto key = ApiKeyStore::Find(reader, call->principal.tenant, id);
    if (!key) throw base::NotFound("API key");
    json::Writer out;
    WriteKey(out, *key, nullptr);
    return api::Json(200, out.Take());
}

api::Answer ApiKeysApi::Delete(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::ApiKeyId>();
    db::Transaction tx(pool_, db::Plane::kAccept);
    if (!ApiKeyStore::Revoke(tx, call->principal.tenant, id, call->now)) {
        throw base::NotFound("API key");
    }
    tx.Commit();
    directory_.Invalidate();
    json::Writer out;
    out.BeginObject().Field("object", "api_key").Field("id", id.ToString());
    out.Field("deleted", true).EndObject();
    return api::Json(200, out.Take());
}

}  // namespace opensend::api_keys
