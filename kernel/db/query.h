#pragma once

#include <string_view>

namespace opensend::db {

/// One statement. `sql` is text for both databases with $1..$n in order of first appearance; one
/// may appear again later. Outside quotes "{skip_locked}" becomes FOR UPDATE SKIP LOCKED on
/// PostgreSQL and nothing on SQLite, "{for_update}" likewise FOR UPDATE, and "{blob}" the type
/// BYTEA or BLOB. `name` is "<folder>.<verb>" and unique: each connection keeps the prepared
/// statement under it. A name that comes with other text is prepared anew; an empty name is
/// prepared for one use (text that is built at run time).
struct Query {
    std::string_view name;
    std::string_view sql;
};

}  // namespace opensend::db
