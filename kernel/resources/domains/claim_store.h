#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::domains {

using DomainClaimId = base::Id<struct DomainClaimTag>;

/// One tenant's wish to take over a name that another one holds (REST 2.6, DOM-05).
struct Claim {
    DomainClaimId id;
    model::DomainId domain;  // the placeholder row
    std::string name;
    std::string region;
    std::string status = "pending";
    std::string proof;  // value of the TXT record
    std::optional<std::string> blocked_reason;
    std::optional<base::Time> blocked_until;
    std::optional<std::string> failure_reason;
    base::Time created_at, expires_at;
    std::optional<base::Time> proven_at, next_check_at;
    int64_t check_wanted = 0, check_done = 0;

    bool is_open() const {
        return status == "pending" || status == "verified" || status == "blocked";
    }
};

/// A claim as the worker owns it for a while.
struct ClaimLease {
    model::TenantId tenant;
    Claim claim;
    std::string owner;
};

class ClaimStore {
public:
    static void Insert(db::Session& tx, const model::TenantId& tenant, const Claim& claim);
    /// The newest claim of a placeholder.
    static std::optional<Claim> FindLatest(
        db::Session& session, const model::TenantId& tenant, const model::DomainId& domain
    );
    /// The claim, which stays as it is until the caller's transaction ends. It is there.
    static Claim Lock(db::Session& tx, const model::TenantId& tenant, const DomainClaimId& id);
    static void Save(db::Session& tx, const model::TenantId& tenant, const Claim& claim);

    /// Takes claims that are due and free, of all tenants.
    static std::vector<ClaimLease> TakeDue(
        db::Session& tx, const std::string& owner, base::Time now, base::Time until, int limit
    );
    /// The claim for the end of a check, locked; nullopt when the lease is no longer the owner's.
    static std::optional<Claim> Retake(db::Session& tx, const ClaimLease& lease);
    static void Release(db::Session& tx, const ClaimLease& lease);

    /// Whether the holder has sent from the name since `since`, or has mail planned from it.
    static bool HasSentSince(
        db::Session& session,
        const model::TenantId& holder,
        const std::string& name,
        base::Time since
    );
    static bool HasScheduled(
        db::Session& session, const model::TenantId& holder, const std::string& name
    );
};

/// Ends the open claim of a placeholder that goes; nullopt: there is none.
std::optional<Claim> CancelClaim(
    db::Session& tx, const model::TenantId& tenant, const model::DomainId& domain
);

}  // namespace opensend::domains
