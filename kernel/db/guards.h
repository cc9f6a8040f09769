#pragma once

#include "kernel/db/pool.h"

namespace opensend::db {

/// What the schema has beside its tables, brought up to date after every migration and safe to
/// repeat: the audit log refuses changes (AUD-03), and on PostgreSQL the roles, grants and row
/// policies of ORG-03 for every table with an org_id. Throws base::Error kForbidden with the
/// statements for an administrator when the login may not create the roles.
void RaiseGuards(Pool& pool);

}  // namespace opensend::db
