#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/guarded.h"
#include "kernel/db/page.h"
#include "kernel/db/pool.h"
#include "kernel/resources/domains/domain.h"

namespace opensend::domains {

class DomainStore {
public:
    /// False when the tenant has a row of that name.
    static bool Insert(db::Session& tx, const model::TenantId& tenant, const Domain& domain);
    static std::optional<Domain> Find(
        db::Session& session, const model::TenantId& tenant, const model::DomainId& id
    );
    /// The same, and the row stays as it is until the caller's transaction ends.
    static std::optional<Domain> Lock(
        db::Session& tx, const model::TenantId& tenant, const model::DomainId& id
    );
    static std::optional<Domain> FindByName(
        db::Session& session, const model::TenantId& tenant, const std::string& name
    );
    static db::Page<Domain> List(
        db::Session& session, const model::TenantId& tenant, const db::PageRequest& page
    );
    /// True when another tenant holds the name verified: the one answer that crosses tenants
    /// (REST 1.3).
    static bool IsHeldElsewhere(
        db::Session& session, const model::TenantId& tenant, const std::string& name
    );
    static int64_t Count(db::Session& session, const model::TenantId& tenant);
    /// Marks verified without DNS on an operator's word (DOM-24).
    static void ForceVerified(
        db::Session& tx, const model::TenantId& tenant, const model::DomainId& id, base::Time now
    );
    /// Settings, status, everything that checks leave; not name, region, selector, keys, lease.
    static void Save(db::Session& tx, const model::TenantId& tenant, const Domain& domain);
    static void SetRegion(db::Session& tx, const model::TenantId& tenant, const Domain& domain);
    static bool Delete(db::Session& tx, const model::TenantId& tenant, const model::DomainId& id);
};

/// A domain row as the worker owns it for a while.
struct DomainLease {
    model::TenantId tenant;
    Domain domain;
    std::string owner;
};

/// One row of a name, whoever has it.
struct NameRow {
    model::TenantId tenant;
    model::DomainId id;
    bool held = false;      // verified for sending or receiving
    bool in_claim = false;  // a placeholder whose claim is open
    bool hopes = false;     // it may still become verified
};

/// What crosses tenants: checks that are due, and who holds a name.
class DomainCheckStore {
public:
    /// Takes rows that are due and free; they are the owner's until `until`.
    static std::vector<DomainLease> Claim(
        db::Session& tx, const std::string& owner, base::Time now, base::Time until, int limit
    );
    /// Takes one row, whatever its plan says. Nullopt: there is none.
    static std::optional<DomainLease> ClaimOne(
        db::Session& tx,
        const model::TenantId& tenant,
        const model::DomainId& id,
        const std::string& owner,
        base::Time until
    );
    /// The row for the end of a check, locked; nullopt when the lease is no longer the owner's.
    static std::optional<Domain> Reclaim(db::Session& tx, const DomainLease& lease);
    static void Release(db::Session& tx, const DomainLease& lease);
    /// Every tenant's row of the name, locked in one order: two that verify at once wait for each
    /// other here.
    static std::vector<NameRow> LockName(db::Session& tx, const std::string& name);
};

/// The sender rule of REST 2.1.3 as the accept and dispatch paths ask it. Answers are cached for at
/// most a second; Invalidate after any change by this process.
class SenderRule {
public:
    SenderRule(db::Pool& pool, const base::Clock& clock) : pool_(pool), clock_(clock) {}

    enum class Verdict { kUsable = 1, kNotFound, kNotVerified, kDisabled };
    struct Sender {
        Verdict verdict = Verdict::kNotFound;
        model::DomainId id;
    };
    Sender Check(const model::TenantId& tenant, const std::string& domain);
    void Invalidate();

private:
    struct Entry {
        Sender sender;
        base::MonoTime until;
    };
    db::Pool& pool_;
    const base::Clock& clock_;
    base::Guarded<std::map<std::pair<model::TenantId, std::string>, Entry>> cache_;
};

}  // namespace opensend::domains
