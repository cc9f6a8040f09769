#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::organizations {

/// The tenant.
struct Organization {
    model::TenantId id;
    std::string name;
    std::string state = "active";  // active, suspended, deleting (ORG-09)
    std::string timezone = "UTC";
    base::Time created_at;
};

class OrganizationStore {
public:
    static void Insert(db::Session& tx, const Organization& organization);
    static std::vector<Organization> List(db::Session& session);
    static std::optional<Organization> Find(db::Session& session, const model::TenantId& tenant);
    /// By id text or unique name. Throws NotFound, or Conflict when the name is ambiguous.
    static Organization Resolve(db::Session& session, const std::string& id_or_name);
    /// Own numbers of buckets as JSON text (access/own_limits.h), held until the transaction ends.
    static std::string RateLimits(db::Session& tx, const model::TenantId& tenant);
    static void SetRateLimits(
        db::Session& tx, const model::TenantId& tenant, const std::string& limits
    );
    static void SetState(db::Session& tx, const model::TenantId& tenant, const std::string& state);
};

}  // namespace opensend::organizations
