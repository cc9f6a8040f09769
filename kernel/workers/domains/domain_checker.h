#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernel/base/uuid.h"
#include "kernel/db/pool.h"
#include "kernel/dns/resolver.h"
#include "kernel/resources/domains/claim_store.h"
#include "kernel/resources/domains/domain_json.h"
#include "kernel/resources/domains/domain_status.h"
#include "kernel/resources/domains/domain_store.h"

namespace opensend::domain_checks {

/// Looks one row up in DNS and records what follows from it, events and audit entries included.
/// No thread of its own; thread-safe. Both throw base::Error when the database cannot answer: the
/// lease then ends by itself and the row is due again.
class DomainChecker {
public:
    struct Deps {
        db::Pool& pool;
        dns::Resolver& resolver;
        base::UuidSource& ids;
        base::Random& random;
        const base::Clock& clock;
        domains::RecordCatalog catalog;
        std::function<void()> after_change;  // senders may be usable or not from now on
    };
    struct Options {
        bool keep_forced = false;  // evaluation mode: an operator's word is not undone
        std::chrono::milliseconds lookup_timeout{5000};
        base::Duration takeover_cooloff{std::chrono::hours(72)};
    };
    DomainChecker(Deps deps, Options options) : deps_(std::move(deps)), options_(options) {}

    void CheckDomain(const domains::DomainLease& lease);
    void CheckClaim(const domains::ClaimLease& lease);

private:
    std::vector<domains::Observation> Look(
        const domains::Domain& domain, const domains::RecordSources& sources
    );
    domains::Finding LookForProof(const domains::Claim& claim);
    void Announce(
        db::Session& tx,
        const model::TenantId& tenant,
        const domains::Domain& domain,
        const std::string& previous_status,
        const std::vector<std::string>& changed
    );
    void Note(
        db::Session& tx,
        const model::TenantId& tenant,
        std::string_view action,
        std::string_view target_type,
        const std::string& target,
        const std::string& metadata,
        const std::optional<std::string>& requester = {}
    );
    /// Everybody else's unverified rows of the name lose.
    void RefuseOthers(
        db::Session& tx, const std::vector<domains::NameRow>& rows, const model::DomainId& winner
    );
    void Lose(db::Session& tx, const domains::NameRow& row);
    /// Moves the claim on from what its look-up found; `rows` are locked.
    void Advance(
        db::Session& tx,
        const domains::ClaimLease& lease,
        domains::Claim& claim,
        domains::Finding found,
        const std::vector<domains::NameRow>& rows
    );
    void Prove(
        db::Session& tx,
        const model::TenantId& tenant,
        domains::Claim& claim,
        const domains::NameRow& holder
    );
    void Complete(
        db::Session& tx,
        const model::TenantId& tenant,
        domains::Claim& claim,
        const domains::NameRow* holder
    );
    double Spread();

    Deps deps_;
    Options options_;
};

}  // namespace opensend::domain_checks
