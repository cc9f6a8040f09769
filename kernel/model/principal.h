#pragma once

#include <memory>
#include <optional>
#include <string>

#include "kernel/model/ids.h"
#include "kernel/model/permission.h"
#include "kernel/model/rate_limiter.h"

namespace opensend::model {

/// Who is calling, proven and checked.
struct Principal {
    TenantId tenant;
    ApiKeyId key;
    std::string key_name;
    KeyPermission permission = KeyPermission::kSendingAccess;
    std::optional<DomainId> domain;         // the key is bound to this domain
    std::optional<base::Time> expires_at;   // of the key; what it mints ends no later
    std::string allowed_ips;                // JSON array text; what it mints is no wider
    bool org_suspended = false;             // class R routes still work
    std::shared_ptr<const OwnRates> rates;  // null: the installation's numbers

    /// "api_key:<id>" in histories.
    std::string Actor() const { return "api_key:" + key.ToString(); }
};

}  // namespace opensend::model
