#include "kernel/resources/domains/domain_store.h"

#include "kernel/db/transaction.h"
#include "kernel/resources/domains/domain_json.h"

namespace opensend::domains {
namespace {

#define OPENSEND_DOMAIN_COLUMNS                                                                    \
    "id, name, status, status_reason, sending_verified, receiving_verified, forced, region, "      \
    "sending, receiving, open_tracking, click_tracking, tracking_subdomain, reply_tracking, tls, " \
    "return_path, selector, dkim_private_rsa, dkim_private_ed25519, dkim_public_rsa, "             \
    "dkim_public_ed25519, created_at, last_checked_at, record_states, ed25519_verified, "          \
    "return_path_verified, sending_failing_since, receiving_failing_since, check_started_at, "     \
    "next_check_at, check_wanted, check_done, check_requester"

constexpr db::Query kInsert{"domains.insert", R"sql(
    INSERT INTO domains (id, org_id, name, status, status_reason, sending_verified,
        receiving_verified, forced, region, sending, receiving, open_tracking, click_tracking,
        tracking_subdomain, reply_tracking, tls, return_path, selector, dkim_private_rsa,
        dkim_private_ed25519, dkim_public_rsa, dkim_public_ed25519, created_at, check_started_at,
        next_check_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
            $20, $21, $22, $23, $24, $25)
    ON CONFLICT (org_id, name) DO NOTHING)sql"};
constexpr db::Query kFind{
    "domains.find",
    "SELECT " OPENSEND_DOMAIN_COLUMNS " FROM domains WHERE org_id = $1 AND id = $2"};
constexpr db::Query kLock{
    "domains.lock",
    "SELECT " OPENSEND_DOMAIN_COLUMNS " FROM domains WHERE org_id = $1 AND id = $2 {for_update}"};
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
    "SELECT 1 FROM domains WHERE org_id <> $1 AND name = $2 AND "
    "(sending_verified = 1 OR receiving_verified = 1)"};
constexpr db::Query kCount{"domains.count", "SELECT COUNT(*) FROM domains WHERE org_id = $1"};
constexpr db::Query kForce{"domains.force", R"sql(
    UPDATE domains SET status = 'verified', status_reason = NULL, sending_verified = 1, forced = 1,
           last_checked_at = $1, next_check_at = $2
     WHERE org_id = $3 AND id = $4)sql"};
constexpr db::Query kSave{"domains.save", R"sql(
    UPDATE domains SET status = $1, status_reason = $2, sending_verified = $3,
           receiving_verified = $4, forced = $5, sending = $6, receiving = $7, open_tracking = $8,
           click_tracking = $9, tracking_subdomain = $10, reply_tracking = $11, tls = $12,
           last_checked_at = $13, record_states = $14, ed25519_verified = $15,
           return_path_verified = $16, sending_failing_since = $17, receiving_failing_since = $18,
           check_started_at = $19, next_check_at = $20, check_wanted = $21, check_done = $22,
           check_requester = $23
     WHERE org_id = $24 AND id = $25)sql"};
constexpr db::Query kSetRegion{
    "domains.set_region",
    "UPDATE domains SET region = $1, return_path = $2 WHERE org_id = $3 AND id = $4"};
constexpr db::Query kClaimDue{"domains.claim_due", R"sql(
    UPDATE domains SET check_owner = $1, check_until = $2
     WHERE id IN (SELECT id FROM domains
                   WHERE next_check_at <= $3 AND check_until <= $3
                   ORDER BY next_check_at LIMIT $4 {skip_locked})
 RETURNING org_id, id)sql"};
constexpr db::Query kClaimOne{"domains.claim_one", R"sql(
    UPDATE domains SET check_owner = $1, check_until = $2 WHERE org_id = $3 AND id = $4)sql"};
constexpr db::Query kIsMine{
    "domains.is_mine",
    "SELECT 1 FROM domains WHERE org_id = $1 AND id = $2 AND check_owner = $3 {for_update}"};
constexpr db::Query kRelease{"domains.release", R"sql(
    UPDATE domains SET check_owner = NULL, check_until = 0
     WHERE org_id = $1 AND id = $2 AND check_owner = $3)sql"};
constexpr db::Query kLockName{"domains.lock_name", R"sql(
    SELECT org_id, id FROM domains WHERE name = $1 ORDER BY id {for_update})sql"};
constexpr db::Query kNameRows{"domains.name_rows", R"sql(
    SELECT d.org_id, d.id, d.sending_verified, d.receiving_verified, d.status,
           (SELECT COUNT(*) FROM domain_claims c WHERE c.org_id = d.org_id AND c.domain_id = d.id
             AND c.status IN ('pending', 'verified', 'blocked'))
      FROM domains d WHERE d.name = $1 ORDER BY d.id)sql"};
constexpr db::Query kDelete{"domains.delete", "DELETE FROM domains WHERE org_id = $1 AND id = $2"};
constexpr db::Query kSender{
    "domains.sender",
    "SELECT id, sending_verified, sending FROM domains WHERE org_id = $1 AND name = $2"};

constexpr std::chrono::hours kForcedPause{24};
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
    d.record_states = ReadStates(row.Text(23));
    d.ed25519_verified = row.Bool(24);
    d.return_path_verified = row.Bool(25);
    d.sending_failing_since = row.OptionalTime(26);
    d.receiving_failing_since = row.OptionalTime(27);
    d.check_started_at = row.OptionalTime(28);
    d.next_check_at = row.OptionalTime(29);
    d.check_wanted = row.Int(30);
    d.check_done = row.Int(31);
    d.check_requester = row.OptionalText(32);
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
                         d.created_at,
                         d.check_started_at,
                         d.next_check_at}
           ) == 1;
}

std::optional<Domain> DomainStore::Find(
    db::Session& session, const model::TenantId& tenant, const model::DomainId& id
) {
    const auto row = session.First(kFind, {tenant, id});
    return row ? std::optional(ReadDomain(*row)) : std::nullopt;
}

std::optional<Domain> DomainStore::Lock(
    db::Session& tx, const model::TenantId& tenant, const model::DomainId& id
) {
    const auto row = tx.First(kLock, {tenant, id});
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
    tx.Change(kForce, {now, now + kForcedPause, tenant, id});
}

void DomainStore::Save(db::Session& tx, const model::TenantId& tenant, const Domain& d) {
    tx.Change(
        kSave, {d.status,
                d.status_reason,
                d.sending_verified,
                d.receiving_verified,
                d.forced,
                d.sending,
                d.receiving,
                d.open_tracking,
                d.click_tracking,
                d.tracking_subdomain,
                d.reply_tracking,
                d.tls,
                d.last_checked_at,
                StatesJson(d.record_states),
                d.ed25519_verified,
                d.return_path_verified,
                d.sending_failing_since,
                d.receiving_failing_since,
                d.check_started_at,
                d.next_check_at,
                d.check_wanted,
                d.check_done,
                d.check_requester,
                tenant,
                d.id}
    );
}

void DomainStore::SetRegion(db::Session& tx, const model::TenantId& tenant, const Domain& domain) {
    tx.Change(kSetRegion, {domain.region, domain.return_path, tenant, domain.id});
}

bool DomainStore::Delete(
    db::Session& tx, const model::TenantId& tenant, const model::DomainId& id
) {
    return tx.Change(kDelete, {tenant, id}) == 1;
}

std::vector<DomainLease> DomainCheckStore::Claim(
    db::Session& tx, const std::string& owner, base::Time now, base::Time until, int limit
) {
    std::vector<DomainLease> leases;
    for (const db::Row& row : tx.Execute(kClaimDue, {owner, until, now, limit})) {
        const auto tenant = row.Id<model::TenantId>(0);
        auto domain = DomainStore::Find(tx, tenant, row.Id<model::DomainId>(1));
        if (domain) leases.push_back({tenant, std::move(*domain), owner});
    }
    return leases;
}

std::optional<DomainLease> DomainCheckStore::ClaimOne(
    db::Session& tx,
    const model::TenantId& tenant,
    const model::DomainId& id,
    const std::string& owner,
    base::Time until
) {
    if (tx.Change(kClaimOne, {owner, until, tenant, id}) == 0) return std::nullopt;
    auto domain = DomainStore::Find(tx, tenant, id);
    if (!domain) return std::nullopt;
    return DomainLease{tenant, std::move(*domain), owner};
}

std::optional<Domain> DomainCheckStore::Reclaim(db::Session& tx, const DomainLease& lease) {
    if (!tx.First(kIsMine, {lease.tenant, lease.domain.id, lease.owner})) return std::nullopt;
    return DomainStore::Find(tx, lease.tenant, lease.domain.id);
}

void DomainCheckStore::Release(db::Session& tx, const DomainLease& lease) {
    tx.Change(kRelease, {lease.tenant, lease.domain.id, lease.owner});
}

std::vector<NameRow> DomainCheckStore::LockName(db::Session& tx, const std::string& name) {
    tx.Execute(kLockName, {name});
    std::vector<NameRow> rows;
    // Read after the locks were had: what others changed meanwhile counts.
    for (const db::Row& row : tx.Execute(kNameRows, {name})) {
        const std::string& status = row.Text(4);
        rows.push_back(
            {row.Id<model::TenantId>(0), row.Id<model::DomainId>(1), row.Bool(2) || row.Bool(3),
             row.Int(5) > 0, status != "failed"}
        );
    }
    return rows;
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
        db::Reader reader(pool_, db::Scope(tenant), db::Plane::kAccept);
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
