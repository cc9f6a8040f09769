#include "kernel/resources/domains/claim_store.h"

#include "kernel/base/check.h"

namespace opensend::domains {
namespace {

#define OPENSEND_CLAIM_COLUMNS                                                    \
    "id, domain_id, name, region, status, proof, blocked_reason, blocked_until, " \
    "failure_reason, created_at, expires_at, proven_at, next_check_at, check_wanted, check_done"

constexpr db::Query kInsertClaim{"domain_claims.insert", R"sql(
    INSERT INTO domain_claims (id, org_id, domain_id, name, region, status, proof, created_at,
        expires_at, next_check_at, check_wanted, check_done, check_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, 0))sql"};
constexpr db::Query kLatestClaim{
    "domain_claims.latest", "SELECT " OPENSEND_CLAIM_COLUMNS
                            " FROM domain_claims WHERE org_id = $1 AND domain_id = $2"
                            " ORDER BY id DESC LIMIT 1"};
constexpr db::Query kFindClaim{
    "domain_claims.find", "SELECT " OPENSEND_CLAIM_COLUMNS
                          " FROM domain_claims WHERE org_id = $1 AND id = $2 {for_update}"};
constexpr db::Query kSaveClaim{"domain_claims.save", R"sql(
    UPDATE domain_claims SET status = $1, blocked_reason = $2, blocked_until = $3,
           failure_reason = $4, proven_at = $5, next_check_at = $6, check_wanted = $7,
           check_done = $8
     WHERE org_id = $9 AND id = $10)sql"};
constexpr db::Query kTakeDueClaims{"domain_claims.take_due", R"sql(
    UPDATE domain_claims SET check_owner = $1, check_until = $2
     WHERE id IN (SELECT id FROM domain_claims
                   WHERE next_check_at <= $3 AND check_until <= $3
                   ORDER BY next_check_at LIMIT $4 {skip_locked})
 RETURNING org_id, id)sql"};
constexpr db::Query kClaimIsMine{
    "domain_claims.is_mine",
    "SELECT 1 FROM domain_claims WHERE org_id = $1 AND id = $2 AND check_owner = $3"};
constexpr db::Query kReleaseClaim{"domain_claims.release", R"sql(
    UPDATE domain_claims SET check_owner = NULL, check_until = 0
     WHERE org_id = $1 AND id = $2 AND check_owner = $3)sql"};
constexpr db::Query kHolderSent{"domain_claims.holder_sent", R"sql(
    SELECT 1 FROM emails WHERE org_id = $1 AND id > $2 AND from_domain = $3 AND sent_at > $4
     LIMIT 1)sql"};
constexpr db::Query kHolderPlans{"domain_claims.holder_plans", R"sql(
    SELECT 1 FROM emails WHERE org_id = $1 AND from_domain = $2 AND status = 'scheduled'
     LIMIT 1)sql"};

/// Mail may be accepted this long before it is sent: scheduled and then tried again.
constexpr std::chrono::hours kLongestWay{38 * 24};

Claim ReadClaim(const db::Row& row) {
    Claim claim;
    claim.id = row.Id<DomainClaimId>(0);
    claim.domain = row.Id<model::DomainId>(1);
    claim.name = row.Text(2);
    claim.region = row.Text(3);
    claim.status = row.Text(4);
    claim.proof = row.Text(5);
    claim.blocked_reason = row.OptionalText(6);
    claim.blocked_until = row.OptionalTime(7);
    claim.failure_reason = row.OptionalText(8);
    claim.created_at = row.Time(9);
    claim.expires_at = row.Time(10);
    claim.proven_at = row.OptionalTime(11);
    claim.next_check_at = row.OptionalTime(12);
    claim.check_wanted = row.Int(13);
    claim.check_done = row.Int(14);
    return claim;
}

/// Ids are in time order: the smallest one of a moment.
std::string SmallestIdAt(base::Time time) {
    base::Uuid id;
    auto ms = static_cast<uint64_t>(time.us / 1000);
    for (size_t i = 6; i-- > 0;) {
        id.bytes[i] = static_cast<uint8_t>(ms & 0xff);
        ms >>= 8;
    }
    return id.ToString();
}

}  // namespace

void ClaimStore::Insert(db::Session& tx, const model::TenantId& tenant, const Claim& claim) {
    tx.Change(
        kInsertClaim, {claim.id, tenant, claim.domain, claim.name, claim.region, claim.status,
                       claim.proof, claim.created_at, claim.expires_at, claim.next_check_at}
    );
}

std::optional<Claim> ClaimStore::FindLatest(
    db::Session& session, const model::TenantId& tenant, const model::DomainId& domain
) {
    const auto row = session.First(kLatestClaim, {tenant, domain});
    return row ? std::optional(ReadClaim(*row)) : std::nullopt;
}

Claim ClaimStore::Lock(db::Session& tx, const model::TenantId& tenant, const DomainClaimId& id) {
    const auto row = tx.First(kFindClaim, {tenant, id});
    OPENSEND_CHECK(row.has_value(), "claims are never deleted");
    return ReadClaim(*row);
}

void ClaimStore::Save(db::Session& tx, const model::TenantId& tenant, const Claim& claim) {
    tx.Change(
        kSaveClaim, {claim.status, claim.blocked_reason, claim.blocked_until, claim.failure_reason,
                     claim.proven_at, claim.next_check_at, claim.check_wanted, claim.check_done,
                     tenant, claim.id}
    );
}

std::vector<ClaimLease> ClaimStore::TakeDue(
    db::Session& tx, const std::string& owner, base::Time now, base::Time until, int limit
) {
    std::vector<ClaimLease> leases;
    for (const db::Row& row : tx.Execute(kTakeDueClaims, {owner, until, now, limit})) {
        const auto tenant = row.Id<model::TenantId>(0);
        const auto found = tx.First(kFindClaim, {tenant, row.Id<DomainClaimId>(1)});
        if (found) leases.push_back({tenant, ReadClaim(*found), owner});
    }
    return leases;
}

std::optional<Claim> ClaimStore::Retake(db::Session& tx, const ClaimLease& lease) {
    const auto row = tx.First(kFindClaim, {lease.tenant, lease.claim.id});
    if (!row) return std::nullopt;
    const bool mine =
        tx.First(kClaimIsMine, {lease.tenant, lease.claim.id, lease.owner}).has_value();
    return mine ? std::optional(ReadClaim(*row)) : std::nullopt;
}

void ClaimStore::Release(db::Session& tx, const ClaimLease& lease) {
    tx.Change(kReleaseClaim, {lease.tenant, lease.claim.id, lease.owner});
}

std::optional<Claim> CancelClaim(
    db::Session& tx, const model::TenantId& tenant, const model::DomainId& domain
) {
    auto claim = ClaimStore::FindLatest(tx, tenant, domain);
    if (!claim || !claim->is_open()) return std::nullopt;
    claim->status = "canceled";
    claim->next_check_at.reset();
    ClaimStore::Save(tx, tenant, *claim);
    return claim;
}

bool ClaimStore::HasSentSince(
    db::Session& session, const model::TenantId& holder, const std::string& name, base::Time since
) {
    const std::string oldest = SmallestIdAt(since - kLongestWay);
    return session.First(kHolderSent, {holder, oldest, name, since}).has_value();
}

bool ClaimStore::HasScheduled(
    db::Session& session, const model::TenantId& holder, const std::string& name
) {
    return session.First(kHolderPlans, {holder, name}).has_value();
}

}  // namespace opensend::domains
