#pragma once

#include <string_view>

namespace opensend::db {

/// One statement. `sql` is static text for both databases with $1..$n in order of first appearance;
/// "{skip_locked}" becomes FOR UPDATE SKIP LOCKED on PostgreSQL and nothing on SQLite,
/// "{for_update}" likewise FOR UPDATE. `name` is "<folder>.<verb>" and unique.
struct Query {
    std::string_view name;
    std::string_view sql;
};

}  // namespace opensend::db
