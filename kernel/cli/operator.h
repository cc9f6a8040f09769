#pragma once

#include <string>
#include <string_view>

#include "kernel/access/audit.h"
#include "kernel/app/storage.h"
#include "kernel/base/secret.h"

namespace opensend::cli {

/// The audit entry of what an operator does at the command line (CLI-04). `metadata` is a JSON
/// object without values that are secret.
access::AuditEntry OperatorEntry(
    const app::Storage& storage,
    const model::TenantId& tenant,
    std::string_view action,
    std::string_view target_type,
    std::string target_id,
    std::string metadata = "{}"
);

/// Reads a new password: from the terminal, twice and unseen, or the first line of standard input.
/// Throws base::Error when the two differ, when it is shorter than `min` characters or longer than
/// 256, or holds the local part of the address (AUTH-03).
base::Secret ReadNewPassword(size_t min, std::string_view email);

}  // namespace opensend::cli
