#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/db/page.h"
#include "kernel/db/session.h"
#include "kernel/model/ids.h"
#include "kernel/model/permission.h"

namespace opensend::api_keys {

/// A key as it is shown; the token is stored nowhere (KEY-13).
struct ApiKey {
    model::ApiKeyId id;
    std::string name;
    model::KeyPermission permission = model::KeyPermission::kFullAccess;
    std::optional<model::DomainId> domain;
    std::optional<std::string> domain_name;
    std::optional<base::Time> expires_at;
    std::string allowed_ips = "[]";  // JSON array
    std::string token_preview;
    std::optional<base::Time> last_used_at;
    std::string created_by;
    /// End of the secret before the last rotation; may have passed.
    std::optional<base::Time> previous_until;
};

/// What proves a token: MAC under a pepper.
struct Credential {
    std::string ref;
    std::string mac;
    uint32_t pepper_kid = 0;
};

class ApiKeyStore {
public:
    static void Insert(
        db::Session& tx,
        const model::TenantId& tenant,
        const ApiKey& key,
        const Credential& credential,
        base::Time now
    );
    static std::optional<ApiKey> Find(
        db::Session& session, const model::TenantId& tenant, const model::ApiKeyId& id
    );
    static db::Page<ApiKey> List(
        db::Session& session, const model::TenantId& tenant, const db::PageRequest& page
    );
    /// Writes name, permission, domain, expiry and address list of a live key.
    static void Update(db::Session& tx, const model::TenantId& tenant, const ApiKey& key);
    /// Gives the key a new secret: the present one works until `old_until`, one that was already
    /// ending is over at once (KEY-20).
    static void Rotate(
        db::Session& tx,
        const model::TenantId& tenant,
        const ApiKey& key,
        const Credential& credential,
        base::Time now,
        base::Time old_until
    );
    /// True when it was live. Effective for requests that start a second later on every node.
    static bool Revoke(
        db::Session& tx, const model::TenantId& tenant, const model::ApiKeyId& id, base::Time now
    );
    /// Whose key has this reference; over all tenants, for operators.
    static std::optional<std::pair<model::TenantId, model::ApiKeyId>> FindByRef(
        db::Session& session, const std::string& ref
    );
    /// Own numbers of buckets of a live key as JSON text (access/own_limits.h), held until the
    /// transaction ends.
    static std::optional<std::string> RateLimits(
        db::Session& tx, const model::TenantId& tenant, const model::ApiKeyId& id
    );
    static void SetRateLimits(
        db::Session& tx,
        const model::TenantId& tenant,
        const model::ApiKeyId& id,
        const std::string& limits
    );
    static int64_t Count(db::Session& session, const model::TenantId& tenant);
};

}  // namespace opensend::api_keys
