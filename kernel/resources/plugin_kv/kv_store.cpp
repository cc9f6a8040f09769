#include "kernel/resources/plugin_kv/kv_store.h"

#include <algorithm>

#include "kernel/base/encoding.h"
#include "kernel/db/transaction.h"

namespace opensend::plugin_kv {
namespace {

constexpr db::Query kGet{"plugin_kv.get", R"sql(
    SELECT value, version FROM plugin_kv
    WHERE space = $1 AND name = $2 AND (expires_at = 0 OR expires_at > $3))sql"};
constexpr db::Query kForgetExpired{"plugin_kv.expire", R"sql(
    DELETE FROM plugin_kv WHERE space = $1 AND expires_at > 0 AND expires_at <= $2)sql"};
constexpr db::Query kUsed{"plugin_kv.used", R"sql(
    SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM plugin_kv WHERE space = $1 AND name <> $2)sql"};
constexpr db::Query kInsert{"plugin_kv.insert", R"sql(
    INSERT INTO plugin_kv (space, name, value, bytes, version, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (space, name) DO NOTHING)sql"};
constexpr db::Query kUpdate{"plugin_kv.update", R"sql(
    UPDATE plugin_kv SET value = $1, bytes = $2, version = $3, expires_at = $4
    WHERE space = $5 AND name = $6 AND version = $7)sql"};
constexpr db::Query kDelete{"plugin_kv.delete", R"sql(
    DELETE FROM plugin_kv WHERE space = $1 AND name = $2 AND version = $3)sql"};

}  // namespace

std::optional<model::KvEntry> DbKvStore::Get(std::string_view space, std::string_view key) {
    db::Reader reader(pool_, db::Scope::AllTenants(), db::Plane::kEvents);
    const auto row = reader.First(kGet, {space, base::HexEncode(key), clock_.Now()});
    if (!row) return std::nullopt;
    return model::KvEntry{row->Bytes(0), static_cast<uint64_t>(row->Int(1))};
}

model::KvVerdict DbKvStore::Put(
    std::string_view space,
    std::string_view key,
    std::string_view value,
    uint64_t expected,
    std::chrono::nanoseconds ttl,
    uint64_t quota
) {
    const base::Time now = clock_.Now();
    const std::string name = base::HexEncode(key);
    const auto bytes = static_cast<int64_t>(key.size() + value.size());
    const int64_t expires =
        ttl.count() == 0 ? 0 : now.us + std::max<int64_t>(1, ttl.count() / 1000);
    db::Transaction tx(pool_, db::Plane::kEvents, db::Scope::AllTenants());
    tx.Change(kForgetExpired, {space, now});
    const auto used = tx.First(kUsed, {space, name});
    if (static_cast<uint64_t>(used->Int(0) + bytes) > quota) return model::KvVerdict::kOverQuota;
    // Never a number that stood there before, also after the value was deleted meanwhile.
    const int64_t version = std::max(now.us, static_cast<int64_t>(expected) + 1);
    const db::Blob blob{std::string(value)};
    const int64_t changed = expected == 0
                                ? tx.Change(kInsert, {space, name, blob, bytes, version, expires})
                                : tx.Change(
                                      kUpdate, {blob, bytes, version, expires, space, name,
                                                static_cast<int64_t>(expected)}
                                  );
    if (changed == 0) return model::KvVerdict::kConflict;
    tx.Commit();
    return model::KvVerdict::kDone;
}

model::KvVerdict DbKvStore::Delete(
    std::string_view space, std::string_view key, uint64_t expected
) {
    const base::Time now = clock_.Now();
    const std::string name = base::HexEncode(key);
    db::Transaction tx(pool_, db::Plane::kEvents, db::Scope::AllTenants());
    tx.Change(kForgetExpired, {space, now});
    const auto stands = tx.First(kGet, {space, name, now});
    if (!stands) return model::KvVerdict::kNotFound;
    if (tx.Change(kDelete, {space, name, static_cast<int64_t>(expected)}) == 0)
        return model::KvVerdict::kConflict;
    tx.Commit();
    return model::KvVerdict::kDone;
}

}  // namespace opensend::plugin_kv
