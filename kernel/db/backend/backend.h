#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kernel/base/error.h"
#include "kernel/db/pool.h"

namespace opensend::db {

std::unique_ptr<Pool> OpenSqlitePool(PoolOptions options);
std::unique_ptr<Pool> OpenPostgresPool(PoolOptions options);

/// True when the login may take both roles of scopes (see guards.h). From PostgreSQL 16 on being a
/// member is not enough for that.
#define OPENSEND_MAY_TAKE_ROLES                                                                \
    "(SELECT COUNT(*) FROM pg_roles WHERE rolname IN ('opensend_app', 'opensend_jobs')"        \
    " AND pg_has_role(current_user, rolname,"                                                  \
    " CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER'" \
    " END)) = 2"

/// What a statement became for one database.
struct StatementText {
    std::string sql;
    size_t parameters = 0;  // highest $n
};
/// Fills in the words in braces and, for SQLite, writes $n as ?n. Aborts when the parameters do not
/// first appear in the order 1, 2, 3 or when a word in braces is unknown.
StatementText MakeStatementText(std::string_view sql, Dialect dialect);

/// Neither database keeps a NUL in text the way it was given. Throws kInternal.
void RefuseNul(const Query& query, const Params& params);

/// Throws what a Work says whose transaction met a failure before.
[[noreturn]] void ThrowPoisoned(std::string_view what);

/// base::Error kConflict, reason "already_exists".
base::Error UniqueViolation(std::string detail);
base::Error BrokenStatement(std::string detail);

/// Looks up a std::string key by string_view without a copy.
struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
template <class T>
using ByName = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

}  // namespace opensend::db
