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
    static bool Delete(db::Session& tx, const model::TenantId& tenant, const model::DomainId& id);
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
