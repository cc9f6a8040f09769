#include "kernel/access/key_directory.h"

#include "kernel/access/own_limits.h"
#include "kernel/base/check.h"
#include "kernel/crypto/digest.h"
#include "kernel/db/transaction.h"
#include "kernel/json/value.h"

namespace opensend::access {
namespace {

constexpr db::Query kFindCredential{"access.find_credential", R"sql(
    SELECT c.key_id, c.org_id, k.permission, c.mac, c.pepper_kid
      FROM api_credentials c JOIN api_keys k ON k.id = c.key_id
     WHERE c.ref = $1 AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > $2))sql"};

constexpr db::Query kFindKey{"access.find_key", R"sql(
    SELECT k.org_id, k.permission, k.domain_id, k.expires_at, k.allowed_ips, k.revoked_at, o.state,
           k.name, o.rate_limits, k.rate_limits
      FROM api_keys k JOIN orgs o ON o.id = k.org_id WHERE k.id = $1)sql"};

constexpr db::Query kNoteUse{"access.note_use", R"sql(
    UPDATE api_keys SET last_used_at = $1, last_used_address = $2 WHERE id = $3)sql"};

constexpr std::chrono::seconds kFresh{1};
constexpr std::chrono::minutes kUseInterval{1};
constexpr size_t kMaxCached = 10'000;

std::vector<base::Cidr> ReadCidrs(const std::string& text) {
    std::vector<base::Cidr> out;
    const auto document = json::Document::Parse(text);
    OPENSEND_CHECK(document.ok(), "stored allowed_ips are JSON");
    const json::Value list = document->root();
    for (size_t i = 0; i < list.size(); ++i) {
        if (const auto cidr = base::ParseCidr(list.At(i).AsString())) out.push_back(*cidr);
    }
    return out;
}

}  // namespace

std::optional<model::StoredCredential> KeyDirectory::FindCredential(std::string_view key_ref) {
    const std::string ref(key_ref);
    const base::MonoTime mono = clock_.Mono();
    auto cached = credentials_.With([&](auto& map) -> std::optional<model::StoredCredential> {
        const auto found = map.find(ref);
        if (found == map.end() || found->second.until < mono) return std::nullopt;
        return found->second.value;
    });
    if (cached) return cached;
    const uint64_t generation = generation_.load();
    db::Reader reader(pool_, db::Scope::AllTenants(), db::Plane::kAccept);
    const auto row = reader.First(kFindCredential, {ref, clock_.Now()});
    if (!row) return std::nullopt;
    model::StoredCredential credential;
    credential.subject = row->Text(0);
    credential.tenant = row->Text(1);
    credential.scope = row->Text(2);
    credential.mac = row->Bytes(3);
    credential.pepper_kid = static_cast<uint32_t>(row->Int(4));
    credentials_.With([&](auto& map) {
        if (map.size() >= kMaxCached) map.clear();
        if (generation == generation_.load()) map[ref] = {credential, mono + kFresh};
    });
    return credential;
}

std::optional<std::string> KeyDirectory::PepperMac(uint32_t pepper_kid, std::string_view data) {
    const InstanceKeys::Key* key = keys_.Find("apikey_pepper", pepper_kid);
    if (key == nullptr) return std::nullopt;
    return crypto::HmacSha256(key->bytes, data);
}

std::optional<KeyRecord> KeyDirectory::FindKey(const model::ApiKeyId& id) {
    const base::MonoTime mono = clock_.Mono();
    auto cached = records_.With([&](auto& map) -> std::optional<KeyRecord> {
        const auto found = map.find(id);
        if (found == map.end() || found->second.until < mono) return std::nullopt;
        return found->second.value;
    });
    if (cached) return cached;
    const uint64_t generation = generation_.load();
    db::Reader reader(pool_, db::Scope::AllTenants(), db::Plane::kAccept);
    const auto row = reader.First(kFindKey, {id});
    if (!row) return std::nullopt;
    KeyRecord record;
    record.id = id;
    record.tenant = row->Id<model::TenantId>(0);
    record.permission =
        model::ParseKeyPermission(row->Text(1)).value_or(model::KeyPermission::kReadAccess);
    record.domain = row->OptionalId<model::DomainId>(2);
    record.expires_at = row->OptionalTime(3);
    record.allowed_json = row->Text(4);
    record.allowed = ReadCidrs(record.allowed_json);
    record.revoked = !row->IsNull(5);
    record.org_state = row->Text(6);
    record.name = row->Text(7);
    record.rates = RatesOf(row->Text(8), row->Text(9));
    records_.With([&](auto& map) {
        if (map.size() >= kMaxCached) map.clear();
        if (generation == generation_.load()) map[id] = {record, mono + kFresh};
    });
    return record;
}

void KeyDirectory::Invalidate() {
    ++generation_;
    credentials_.With([](auto& map) { map.clear(); });
    records_.With([](auto& map) { map.clear(); });
}

void KeyDirectory::NoteUse(const model::ApiKeyId& id, const base::IpAddress& address) {
    const base::MonoTime mono = clock_.Mono();
    uses_.With([&](auto& map) {
        Use& use = map[id];
        if (use.written.ns != 0 && mono - use.written < kUseInterval) return;
        if (use.pending) return;
        use.address = address.ToString();
        use.at = clock_.Now();
        use.pending = true;
    });
}

void KeyDirectory::FlushUses() {
    const base::MonoTime mono = clock_.Mono();
    std::vector<db::Params> updates;
    uses_.With([&](auto& map) {
        for (auto& [id, use] : map) {
            if (!use.pending) continue;
            updates.push_back({use.at, use.address, id});
            use.pending = false;
            use.written = mono;
        }
    });
    if (updates.empty()) return;
    db::Transaction tx(pool_, db::Plane::kDashboard, db::Scope::AllTenants());
    tx.ChangeEach(kNoteUse, updates);
    tx.Commit();
}

}  // namespace opensend::access
