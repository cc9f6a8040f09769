#include "kernel/resources/domains/domain_store.h"

#include "kernel/db/transaction.h"

namespace opensend::domains {
namespace {

#define OPENSEND_DOMAIN_COLUMNS                                                                    \
    "id, name, status, status_reason, sending_verified, receiving_verified, forced, region, "      \
    "sending, receiving, open_tracking, click_tracking, tracking_subdomain, reply_tracking, tls, " \
    "return_path, selector, dkim_private_rsa, dkim_private_ed25519, dkim_public_rsa, "             \
    "dkim_public_ed25519, created_at, last_checked_at"

constexpr db::Query kInsert{"domains.insert", R"sql(
    INSERT INTO domains (id, org_id, name, status, status_reason, sending_verified,
        receiving_verified, forced, region, sending, receiving, open_tracking, click_tracking,
        tracking_subdomain, reply_tracking, tls, return_path, selector, dkim_private_rsa,
        dkim_private_ed25519, dkim_public_rsa, dkim_public_ed25519, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
            $20, $21, $22, $23)
    ON CONFLICT (org_id, name) DO NOTHING)sql"};
constexpr db::Query kFind{
    "domains.find",
    "SELECT " OPENSEND_DOMAIN_COLUMNS " FROM domains WHERE org_id = $1 AND id = $2"};
constexpr db::Query kFindByName{
    "domains.find_by_name",
    "SELECT " OPENSEND_DOMAIN_COLUMNS " FROM domains WHERE org_id = $1 AND name = $2"};
constexpr db::Query kListOlder{
    "domains.list_older", "SELECT " OPENSEND_DOMAIN_COLUMNS
                          " FROM domains WHERE org_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"};
constexpr db::Query kListNewer{
    "domains.list_newer", "SELECT " OPENSEND_DOMAIN_COLUMNS
                          " FROM domains WHERE org_id = $1 AND id > $2 ORDER BY id LIMIT $3"};
constexpr db::Query kHeldElsewhere{
    "domains.held_elsewhere",
    "SELECT 1 FROM domains WHERE org_id <> $1 AND name = $2 AND sending_verified = 1"};
constexpr db::Query kCount{"domains.count", "SELECT COUNT(*) FROM domains WHERE org_id = $1"};
constexpr db::Query kForce{"domains.force", R"sql(
    UPDATE domains SET status = 'verified', sending_verified = 1, forced = 1, last_checked_at = $1
     WHERE org_id = $2 AND id = $3)sql"};
constexpr db::Query kDelete{"domains.delete", "DELETE FROM domains WHERE org_id = $1 AND id = $2"};
constexpr db::Query kSender{
    "domains.sender",
    "SELECT id, sending_verified, sending FROM domains WHERE org_id = $1 AND name = $2"};

constexpr std::chrono::seconds kFresh{1};
constexpr size_t kMaxCached = 20'000;

Domain ReadDomain(const db::Row& row) {
    Domain d;
    d.id = row.Id<model::DomainId>(0);
    d.name = row.Text(1);
    d.status = row.Text(2);
    d.status_reason = row.OptionalText(3);
    d.sending_verified = row.Bool(4);
    d.receiving_verified = row.Bool(5);
    d.forced = row.Bool(6);
    d.region = row.Text(7);
    d.sending = row.Text(8);
    d.receiving = row.Text(9);
    d.open_tracking = row.Bool(10);
    d.click_tracking = row.Bool(11);
    d.tracking_subdomain = row.OptionalText(12);
    d.reply_tracking = row.Bool(13);
    d.tls = row.Text(14);
    d.return_path = row.Text(15);
    d.selector = row.Text(16);
    d.dkim_private_rsa = row.Text(17);
    d.dkim_private_ed25519 = row.Text(18);
    d.dkim_public_rsa = row.Text(19);
    d.dkim_public_ed25519 = row.Text(20);
    d.created_at = row.Time(21);
    d.last_checked_at = row.OptionalTime(22);
    return d;
}

}  // namespace

bool DomainStore::Insert(db::Session& tx, const model::TenantId& tenant, const Domain& d) {
    return tx.Change(
               kInsert, {d.id,
                         tenant,
                         d.name,
                         d.status,
                         d.status_reason,
                         d.sending_verified,
                         d.receiving_verified,
                         d.forced,
                         d.region,
                         d.sending,
                         d.receiving,
                         d.open_tracking,
                         d.click_tracking,
                         d.tracking_subdomain,
                         d.reply_tracking,
                         d.tls,
                         d.return_path,
                         d.selector,
                         d.dkim_private_rsa,
                         d.dkim_private_ed25519,
                         d.dkim_public_rsa,
                         d.dkim_public_ed25519,
                         d.created_at}
           ) == 1;
}

std::optional<Domain> DomainStore::Find(
    db::Session& session, const model::TenantId& tenant, const model::DomainId& id
) {
    const auto row = session.First(kFind, {tenant, id});
    return row ? std::optional(ReadDomain(*row)) : std::nullopt;
}

std::optional<Domain> DomainStore::FindByName(
    db::Session& session, const model::TenantId& tenant, const std::string& name
) {
    const auto row = session.First(kFindByName, {tenant, name});
    return row ? std::optional(ReadDomain(*row)) : std::nullopt;
}

db::Page<Domain> DomainStore::List(
    db::Session& session, const model::TenantId& tenant, const db::PageRequest& page
) {
    std::vector<Domain> rows;
    for (const db::Row& row : db::FetchPage(session, kListOlder, kListNewer, tenant, page)) {
        rows.push_back(ReadDomain(row));
    }
    return db::TrimPage(std::move(rows), page);
}

bool DomainStore::IsHeldElsewhere(
    db::Session& session, const model::TenantId& tenant, const std::string& name
) {
    return session.First(kHeldElsewhere, {tenant, name}).has_value();
}

int64_t DomainStore::Count(db::Session& session, const model::TenantId& tenant) {
    return session.First(kCount, {tenant})->Int(0);
}

void DomainStore::ForceVerified(
    db::Session& tx, const model::TenantId& tenant, const model::DomainId& id, base::Time now
) {
    tx.Change(kForce, {now, tenant, id});
}

bool DomainStore::Delete(
    db::Session& tx, const model::TenantId& tenant, const model::DomainId& id
) {
    return tx.Change(kDelete, {tenant, id}) == 1;
}

SenderRule::Sender SenderRule::Check(const model::TenantId& tenant, const std::string& domain) {
    const base::MonoTime mono = clock_.Mono();
    const auto key = std::make_pair(tenant, domain);
    const auto cached = cache_.With([&](auto& map) -> std::optional<Sender> {
        const auto found = map.find(key);
        if (found == map.end() || found->second.until < mono) return std::nullopt;
        return found->second.sender;
    });
    if (cached) return *cached;
    Sender sender;
    {
        db::Reader reader(pool_, db::Scope::AllTenants(), db::Plane::kAccept);
        if (const auto row = reader.First(kSender, {tenant, domain})) {
            sender.id = row->Id<model::DomainId>(0);
            sender.verdict = !row->Bool(1)               ? Verdict::kNotVerified
                             : row->Text(2) != "enabled" ? Verdict::kDisabled
                                                         : Verdict::kUsable;
        }
    }
    cache_.With([&](auto& map) {
        if (map.size() >= kMaxCached) map.clear();
        map[key] = {sender, mono + kFresh};
    });
    return sender;
}

void SenderRule::Invalidate() {
    cache_.With([](auto& map) { map.clear(); });
}

}  // namespace opensend::domains
