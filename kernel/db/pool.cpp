#include "kernel/db/pool.h"

#include "kernel/base/error.h"
#include "kernel/db/backend/backend.h"

namespace opensend::db {

std::unique_ptr<Pool> Pool::Open(PoolOptions options) {
    const std::string_view url = options.url.Reveal();
    if (url.starts_with("sqlite:")) return OpenSqlitePool(std::move(options));
    if (url.starts_with("postgres://") || url.starts_with("postgresql://"))
        return OpenPostgresPool(std::move(options));
    throw base::Unavailable(
        "database_unavailable",
        "the database URL starts with neither sqlite: nor postgres:// nor postgresql://"
    );
}

}  // namespace opensend::db
