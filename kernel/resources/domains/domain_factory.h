#pragma once

#include "kernel/base/uuid.h"
#include "kernel/crypto/keyring.h"
#include "kernel/resources/domains/domain.h"

namespace opensend::domains {

/// Makes domains: fresh selector and DKIM key pairs, sealed (DKIM-01).
class DomainFactory {
public:
    DomainFactory(const crypto::Keyring& keyring, base::Random& random, base::UuidSource& ids)
        : keyring_(keyring), random_(random), ids_(ids) {}
    /// A new row for `name` (already normalised) with the settings of `wanted`. Takes tens of
    /// milliseconds: keys are made.
    Domain Make(
        const model::TenantId& tenant,
        const std::string& name,
        base::Time now,
        const Domain& wanted = {}
    );

private:
    const crypto::Keyring& keyring_;
    base::Random& random_;
    base::UuidSource& ids_;
};

}  // namespace opensend::domains
