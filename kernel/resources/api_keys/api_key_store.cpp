#include "kernel/resources/api_keys/api_key_store.h"

namespace opensend::api_keys {
namespace {

#define OPENSEND_KEY_COLUMNS                                                             \
    "k.id, k.name, k.permission, k.domain_id, d.name, k.expires_at, k.allowed_ips, "     \
    "k.token_preview, k.last_used_at, k.created_by, "                                    \
    "(SELECT MAX(c.expires_at) FROM api_credentials c WHERE c.key_id = k.id "            \
    "AND c.org_id = k.org_id AND c.revoked_at IS NULL) "                                 \
    "FROM api_keys k LEFT JOIN domains d ON d.id = k.domain_id AND d.org_id = k.org_id " \
    "WHERE k.org_id = $1 AND k.revoked_at IS NULL"

constexpr db::Query kInsertKey{"api_keys.insert", R"sql(
    INSERT INTO api_keys (id, org_id, name, permission, domain_id, expires_at, allowed_ips,
                          token_preview, created_at, created_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10))sql"};
constexpr db::Query kInsertCredential{"api_keys.insert_credential", R"sql(
    INSERT INTO api_credentials (ref, key_id, org_id, mac, pepper_kid, created_at)
    VALUES ($1, $2, $3, $4, $5, $6))sql"};
constexpr db::Query kFindKey{"api_keys.find", "SELECT " OPENSEND_KEY_COLUMNS " AND k.id = $2"};
constexpr db::Query kOlderKeys{
    "api_keys.list_older",
    "SELECT " OPENSEND_KEY_COLUMNS " AND k.id < $2 ORDER BY k.id DESC LIMIT $3"};
constexpr db::Query kNewerKeys{
    "api_keys.list_newer", "SELECT " OPENSEND_KEY_COLUMNS " AND k.id > $2 ORDER BY k.id LIMIT $3"};
constexpr db::Query kRevokeKey{"api_keys.revoke", R"sql(
    UPDATE api_keys SET revoked_at = $1 WHERE org_id = $2 AND id = $3 AND revoked_at IS NULL)sql"};
constexpr db::Query kRevokeCredentials{"api_keys.revoke_credentials", R"sql(
    UPDATE api_credentials SET revoked_at = $1
     WHERE org_id = $2 AND key_id = $3 AND revoked_at IS NULL)sql"};
constexpr db::Query kUpdateKey{"api_keys.update", R"sql(
    UPDATE api_keys SET name = $1, permission = $2, domain_id = $3, expires_at = $4,
                        allowed_ips = $5
     WHERE org_id = $6 AND id = $7 AND revoked_at IS NULL)sql"};
constexpr db::Query kEndEarlier{"api_keys.end_earlier", R"sql(
    UPDATE api_credentials SET revoked_at = $1
     WHERE org_id = $2 AND key_id = $3 AND revoked_at IS NULL AND expires_at IS NOT NULL)sql"};
constexpr db::Query kLimitPresent{"api_keys.limit_present", R"sql(
    UPDATE api_credentials SET expires_at = $1
     WHERE org_id = $2 AND key_id = $3 AND revoked_at IS NULL)sql"};
constexpr db::Query kSetPreview{"api_keys.set_preview", R"sql(
    UPDATE api_keys SET token_preview = $1 WHERE org_id = $2 AND id = $3)sql"};
constexpr db::Query kFindByRef{
    "api_keys.find_by_ref", "SELECT org_id, key_id FROM api_credentials WHERE ref = $1"};
constexpr db::Query kKeyLimits{"api_keys.rate_limits", R"sql(
    SELECT rate_limits FROM api_keys
     WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL {for_update})sql"};
constexpr db::Query kSetKeyLimits{"api_keys.set_rate_limits", R"sql(
    UPDATE api_keys SET rate_limits = $1 WHERE org_id = $2 AND id = $3)sql"};
constexpr db::Query kCountKeys{
    "api_keys.count", "SELECT COUNT(*) FROM api_keys WHERE org_id = $1 AND revoked_at IS NULL"};

ApiKey ReadKey(const db::Row& row) {
    ApiKey key;
    key.id = row.Id<model::ApiKeyId>(0);
    key.name = row.Text(1);
    key.permission =
        model::ParseKeyPermission(row.Text(2)).value_or(model::KeyPermission::kReadAccess);
    key.domain = row.OptionalId<model::DomainId>(3);
    key.domain_name = row.OptionalText(4);
    key.expires_at = row.OptionalTime(5);
    key.allowed_ips = row.Text(6);
    key.token_preview = row.Text(7);
    key.last_used_at = row.OptionalTime(8);
    key.created_by = row.Text(9);
    key.previous_until = row.OptionalTime(10);
    return key;
}

void InsertCredential(
    db::Session& tx,
    const model::TenantId& tenant,
    const model::ApiKeyId& key,
    const Credential& credential,
    base::Time now
) {
    tx.Change(
        kInsertCredential, {credential.ref, key, tenant, db::Blob{credential.mac},
                            static_cast<int64_t>(credential.pepper_kid), now}
    );
}

}  // namespace

void ApiKeyStore::Insert(
    db::Session& tx,
    const model::TenantId& tenant,
    const ApiKey& key,
    const Credential& credential,
    base::Time now
) {
    tx.Change(
        kInsertKey, {key.id, tenant, key.name, model::ToText(key.permission), key.domain,
                     key.expires_at, key.allowed_ips, key.token_preview, now, key.created_by}
    );
    InsertCredential(tx, tenant, key.id, credential, now);
}

void ApiKeyStore::Update(db::Session& tx, const model::TenantId& tenant, const ApiKey& key) {
    tx.Change(
        kUpdateKey, {key.name, model::ToText(key.permission), key.domain, key.expires_at,
                     key.allowed_ips, tenant, key.id}
    );
}

void ApiKeyStore::Rotate(
    db::Session& tx,
    const model::TenantId& tenant,
    const ApiKey& key,
    const Credential& credential,
    base::Time now,
    base::Time old_until
) {
    tx.Change(kEndEarlier, {now, tenant, key.id});
    tx.Change(kLimitPresent, {old_until, tenant, key.id});
    InsertCredential(tx, tenant, key.id, credential, now);
    tx.Change(kSetPreview, {key.token_preview, tenant, key.id});
}

std::optional<ApiKey> ApiKeyStore::Find(
    db::Session& session, const model::TenantId& tenant, const model::ApiKeyId& id
) {
    const auto row = session.First(kFindKey, {tenant, id});
    return row ? std::optional(ReadKey(*row)) : std::nullopt;
}

db::Page<ApiKey> ApiKeyStore::List(
    db::Session& session, const model::TenantId& tenant, const db::PageRequest& page
) {
    std::vector<ApiKey> rows;
    for (const db::Row& row : db::FetchPage(session, kOlderKeys, kNewerKeys, tenant, page)) {
        rows.push_back(ReadKey(row));
    }
    return db::TrimPage(std::move(rows), page);
}

bool ApiKeyStore::Revoke(
    db::Session& tx, const model::TenantId& tenant, const model::ApiKeyId& id, base::Time now
) {
    const bool was_live = tx.Change(kRevokeKey, {now, tenant, id}) == 1;
    tx.Change(kRevokeCredentials, {now, tenant, id});
    return was_live;
}

std::optional<std::pair<model::TenantId, model::ApiKeyId>> ApiKeyStore::FindByRef(
    db::Session& session, const std::string& ref
) {
    const auto row = session.First(kFindByRef, {ref});
    if (!row) return std::nullopt;
    return std::pair(row->Id<model::TenantId>(0), row->Id<model::ApiKeyId>(1));
}

std::optional<std::string> ApiKeyStore::RateLimits(
    db::Session& tx, const model::TenantId& tenant, const model::ApiKeyId& id
) {
    const auto row = tx.First(kKeyLimits, {tenant, id});
    return row ? std::optional(row->Text(0)) : std::nullopt;
}

void ApiKeyStore::SetRateLimits(
    db::Session& tx,
    const model::TenantId& tenant,
    const model::ApiKeyId& id,
    const std::string& limits
) {
    tx.Change(kSetKeyLimits, {limits, tenant, id});
}

int64_t ApiKeyStore::Count(db::Session& session, const model::TenantId& tenant) {
    return session.First(kCountKeys, {tenant})->Int(0);
}

}  // namespace opensend::api_keys
