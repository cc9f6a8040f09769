#pragma once

#include <string>
#include <utility>

#include "kernel/base/id.h"

namespace opensend::db {

/// Whose rows a connection may touch while it is held. PostgreSQL enforces it by roles and row
/// security beside the conditions of the statements (ORG-03); SQLite, in test builds, refuses a
/// statement of a tenant that does not ask for the tenant.
class Scope {
public:
    enum class Kind { kTenant = 1, kAllTenants, kOwner };

    /// The rows of one tenant.
    template <class Tag>
    explicit Scope(const base::Id<Tag>& tenant)
        : kind_(Kind::kTenant), tenant_(tenant.ToString()) {}
    /// Work that crosses tenants: claims of workers, sequences, retention, credentials.
    static Scope AllTenants() { return Scope(Kind::kAllTenants); }
    /// Changes of the schema.
    static Scope Owner() { return Scope(Kind::kOwner); }

    Kind kind() const { return kind_; }
    /// The id's text; empty without a tenant.
    const std::string& tenant() const { return tenant_; }
    friend bool operator==(const Scope&, const Scope&) = default;

private:
    explicit Scope(Kind kind) : kind_(kind) {}
    Kind kind_;
    std::string tenant_;
};

}  // namespace opensend::db
