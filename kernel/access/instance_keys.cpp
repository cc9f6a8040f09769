#include "kernel/access/instance_keys.h"

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/db/transaction.h"

namespace opensend::access {
namespace {

constexpr db::Query kAll{
    "instance_keys.all", "SELECT purpose, kid, material, state FROM instance_keys"};
constexpr db::Query kInsert{"instance_keys.insert", R"sql(
    INSERT INTO instance_keys (purpose, kid, material, state, created_at)
    VALUES ($1, 1, $2, 'active', $3) ON CONFLICT (purpose, kid) DO NOTHING)sql"};

constexpr std::string_view kPurposes[] = {"canary", "apikey_pepper", "tracking", "unsubscribe",
                                          "reply",  "verp",          "files",    "pii_hash"};
constexpr std::string_view kCanary = "opensend";

std::string PlaceRow(std::string_view purpose, int64_t kid) { return base::Cat(purpose, ':', kid); }

[[noreturn]] void RefuseMasterKey(std::string_view detail) {
    throw base::Error(
        base::ErrorCode::kUnauthorized, "master key does not match this database",
        std::string(detail)
    );
}

}  // namespace

void InstanceKeys::Open(base::Random& random, base::Time now) {
    db::Transaction tx(pool_, db::Plane::kAccept, db::Scope::AllTenants());
    db::Rows rows = tx.Execute(kAll, {});
    if (rows.size() < std::size(kPurposes)) {
        for (const std::string_view purpose : kPurposes) {
            const std::string material = purpose == kCanary || purpose == "canary"
                                             ? std::string(kCanary)
                                             : base::HexEncode(random.String(32));
            const std::string row = PlaceRow(purpose, 1);
            const base::Secret secret{std::string(material)};
            tx.Change(
                kInsert,
                {purpose, keyring_.Seal({"instance_keys", "material", "", row}, secret, random),
                 now}
            );
        }
        rows = tx.Execute(kAll, {});
        tx.Commit();
    }
    for (const db::Row& row : rows) {
        const std::string& purpose = row.Text(0);
        const auto kid = row.Int(1);
        const std::string place = PlaceRow(purpose, kid);
        auto opened = keyring_.Open({"instance_keys", "material", "", place}, row.Text(2));
        if (!opened.ok()) RefuseMasterKey(opened.error());
        if (purpose == "canary") {
            if (opened->Reveal() != kCanary) RefuseMasterKey("canary text differs");
            continue;
        }
        const auto bytes = base::HexDecode(opened->Reveal());
        if (!bytes) RefuseMasterKey("key material is not hexadecimal");
        const auto kid32 = static_cast<uint32_t>(kid);
        keys_[purpose][kid32] = Key{kid32, *bytes};
        if (row.Text(3) == "active") active_[purpose] = kid32;
    }
}

const InstanceKeys::Key& InstanceKeys::Active(std::string_view purpose) const {
    const auto found = active_.find(purpose);
    OPENSEND_CHECK(found != active_.end(), "every purpose has an active key");
    return keys_.find(purpose)->second.at(found->second);
}

const InstanceKeys::Key* InstanceKeys::Find(std::string_view purpose, uint32_t kid) const {
    const auto keys = keys_.find(purpose);
    if (keys == keys_.end()) return nullptr;
    const auto key = keys->second.find(kid);
    return key == keys->second.end() ? nullptr : &key->second;
}

}  // namespace opensend::access
