#pragma once

#include <string>
#include <string_view>

#include "kernel/access/audit.h"
#include "kernel/api/call.h"

namespace opensend::api {

/// The audit entry of what `call` did, with its caller and origin filled in. `metadata` is a JSON
/// object.
access::AuditEntry AuditOf(
    const Call& call,
    std::string_view action,
    std::string_view target_type,
    std::string target_id,
    std::string metadata = "{}"
);

}  // namespace opensend::api
