#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/lint/tree.h"

namespace opensend::lint {

/// A word in lower case, a parameter ("$1"), a quoted string or a single other character of SQL.
struct SqlToken {
    std::string text;
    size_t at = 0;  // where it begins
};
std::vector<SqlToken> SqlTokens(std::string_view sql);

/// A table as a migration creates it.
struct TableText {
    std::string file;
    std::string body;  // between the parentheses
};

/// CREATE TABLE statements of kernel/db/migrations, by table name.
std::map<std::string, TableText> CreatedTables(const std::filesystem::path& root);
/// Tables with a column org_id: rows of a tenant.
std::set<std::string> TenantTables(const std::filesystem::path& root);

}  // namespace opensend::lint
