// The part of DomainChecker that moves claims on.
#include <algorithm>

#include "kernel/db/transaction.h"
#include "kernel/json/writer.h"
#include "kernel/runtime/log.h"
#include "kernel/workers/domains/domain_checker.h"
#include "kernel/workers/domains/record_check.h"

namespace opensend::domain_checks {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr minutes kClaimLadder[] = {minutes(1), minutes(5), minutes(15), minutes(60)};
constexpr hours kClaimEvery{6};
constexpr minutes kAskAgain{15};
constexpr hours kRecentUse{7 * 24};
constexpr hours kLongestBlock{14 * 24};

/// When a claim without proof is looked at again: denser in the beginning, and when it expires.
base::Time NextLook(const domains::Claim& claim, base::Time now) {
    for (const minutes step : kClaimLadder) {
        if (claim.created_at + step > now) return claim.created_at + step;
    }
    return std::min(now + kClaimEvery, claim.expires_at);
}

const domains::NameRow* HolderOf(const std::vector<domains::NameRow>& rows) {
    const auto found =
        std::find_if(rows.begin(), rows.end(), [](const auto& row) { return row.held; });
    return found == rows.end() ? nullptr : &*found;
}

/// What the holder is told: that it happens and until when, never who.
std::string HolderNotice(const domains::Claim& claim) {
    json::Writer out;
    out.BeginObject().Field("name", claim.name).Field("blocked_until", claim.blocked_until);
    out.EndObject();
    return out.Take();
}

std::string ClaimNotice(const domains::Claim& claim) {
    json::Writer out;
    out.BeginObject().Field("name", claim.name).Field("status", claim.status);
    out.Field("domain_id", claim.domain.ToString()).Field("blocked_until", claim.blocked_until);
    out.EndObject();
    return out.Take();
}

}  // namespace

domains::Finding DomainChecker::LookForProof(const domains::Claim& claim) {
    domains::DnsRecord wanted;
    wanted.record = "Claim";
    wanted.type = "TXT";
    wanted.fqdn = claim.name;
    wanted.value = claim.proof;
    deps_.resolver.Forget(claim.name);
    const auto answers =
        deps_.resolver.Query(claim.name, dns::RecordType::kTxt, options_.lookup_timeout);
    const Finding found = Judge(wanted, answers).finding;
    return found == Finding::kDifferent ? Finding::kAbsent : found;
}

void DomainChecker::CheckClaim(const domains::ClaimLease& lease) {
    const Finding found = LookForProof(lease.claim);
    db::Transaction tx(deps_.pool, db::Plane::kEvents, db::Scope::AllTenants());
    const auto rows = domains::DomainCheckStore::LockName(tx, lease.claim.name);
    auto claim = domains::ClaimStore::Retake(tx, lease);
    if (!claim || !claim->is_open()) return;
    const std::string before = claim->status;
    Advance(tx, lease, *claim, found, rows);
    claim->check_done = lease.claim.check_wanted;
    if (claim->is_open() && claim->check_wanted != lease.claim.check_wanted) {
        claim->next_check_at = deps_.clock.Now();
    }
    domains::ClaimStore::Save(tx, lease.tenant, *claim);
    domains::ClaimStore::Release(tx, lease);
    tx.Commit();
    if (before == claim->status) return;
    OPENSEND_LOG(
        kInfo, "domain.claim_moved", "a claim changed", kv("claim_id", claim->id.ToString()),
        kv("status", claim->status)
    );
    deps_.after_change();
}

void DomainChecker::Advance(
    db::Session& tx,
    const domains::ClaimLease& lease,
    domains::Claim& claim,
    Finding found,
    const std::vector<domains::NameRow>& rows
) {
    const base::Time now = deps_.clock.Now();
    const domains::NameRow* holder = HolderOf(rows);
    if (claim.status == "pending" && now >= claim.expires_at) {
        claim.status = "expired";
        claim.next_check_at.reset();
        return;
    }
    if (found == Finding::kRight && holder == nullptr) {
        return Complete(tx, lease.tenant, claim, nullptr);
    }
    if (claim.status == "pending") {
        if (found == Finding::kRight) return Prove(tx, lease.tenant, claim, *holder);
        claim.next_check_at = NextLook(claim, now);
        return;
    }
    if (claim.blocked_until && now < *claim.blocked_until) {
        claim.next_check_at = claim.blocked_until;
        return;
    }
    if (found == Finding::kUnknown) {
        claim.next_check_at = now + kAskAgain;
        return;
    }
    if (found != Finding::kRight) {
        claim.status = "failed";
        claim.failure_reason = "proof_removed";
        claim.blocked_reason.reset();
        claim.blocked_until.reset();
        claim.next_check_at.reset();
        return;
    }
    const base::Time last = claim.proven_at.value_or(now) + kLongestBlock;
    if (now < last) {
        const char* reason = nullptr;
        if (domains::ClaimStore::HasSentSince(tx, holder->tenant, claim.name, now - kRecentUse)) {
            reason = "recent_owner_activity";
        } else if (domains::ClaimStore::HasScheduled(tx, holder->tenant, claim.name)) {
            reason = "pending_scheduled_emails";
        }
        if (reason != nullptr) {
            claim.blocked_reason = reason;
            claim.blocked_until = last;
            claim.next_check_at = last;
            return;
        }
    }
    Complete(tx, lease.tenant, claim, holder);
}

void DomainChecker::Prove(
    db::Session& tx,
    const model::TenantId& tenant,
    domains::Claim& claim,
    const domains::NameRow& holder
) {
    const base::Time now = deps_.clock.Now();
    claim.status = "blocked";
    claim.proven_at = now;
    claim.blocked_reason = "grace_period";
    claim.blocked_until = (now + options_.takeover_cooloff).Millis();
    claim.next_check_at = claim.blocked_until;
    Note(
        tx, tenant, "domain.claim_verified", "domain_claim", claim.id.ToString(), ClaimNotice(claim)
    );
    // The holder's row stays as it is; the holder hears of it.
    const auto held = domains::DomainStore::Find(tx, holder.tenant, holder.id);
    if (!held) return;
    Announce(tx, holder.tenant, *held, held->status, {"claim"});
    Note(
        tx, holder.tenant, "domain.claim_verified", "domain", holder.id.ToString(),
        HolderNotice(claim)
    );
}

void DomainChecker::Complete(
    db::Session& tx,
    const model::TenantId& tenant,
    domains::Claim& claim,
    const domains::NameRow* holder
) {
    const base::Time now = deps_.clock.Now();
    if (holder != nullptr) Lose(tx, *holder);
    claim.status = "completed";
    claim.blocked_reason.reset();
    claim.blocked_until.reset();
    claim.next_check_at.reset();
    auto domain = domains::DomainStore::Find(tx, tenant, claim.domain);
    if (domain) {
        const std::string before = domain->status;
        domain->check_started_at.reset();
        domains::AskForCheck(*domain, now);
        domains::DomainStore::Save(tx, tenant, *domain);
        Announce(tx, tenant, *domain, before, {"status"});
    }
    Note(
        tx, tenant, "domain.claim_completed", "domain_claim", claim.id.ToString(),
        ClaimNotice(claim)
    );
}

}  // namespace opensend::domain_checks
