// Migrations are numbered without gaps, and every table of the business belongs to a tenant;
// contrib/lint/tables.txt lists the others.
#include <set>

#include <gmock/gmock.h>

#include "tests/lint/schema.h"

namespace opensend::lint {
namespace {

/// "0007" of "kernel/db/migrations/0007_topics.sql"; empty when the name has another form.
std::string NumberOf(const std::string& path) {
    const std::string name = std::filesystem::path(path).filename().string();
    if (name.size() < 10 || name[4] != '_') return "";
    const std::string number = name.substr(0, 4);
    return number.find_first_not_of("0123456789") == std::string::npos ? number : "";
}

Findings CheckMigrations(const std::filesystem::path& root) {
    Findings findings;
    size_t expected = 1;
    for (const SourceFile& file : ReadTree(root, {"kernel/db/migrations"}, {".sql"})) {
        const std::string number = NumberOf(file.path);
        if (number.empty() || std::stoul(number) != expected) {
            findings.push_back(file.path + " should have number " + std::to_string(expected));
        }
        ++expected;
    }
    if (expected == 1) findings.push_back("there are no migrations");
    std::set<std::string> shared;
    for (const TableRow& row : ReadTable(root / "contrib/lint/tables.txt")) shared.insert(row.key);
    for (const auto& [name, table] : CreatedTables(root)) {
        const bool has_tenant =
            FindWord(table.body, "org_id TEXT NOT NULL") != std::string::npos ||
            FindWord(table.body, "org_id TEXT PRIMARY KEY") != std::string::npos;
        if (has_tenant == (shared.count(name) > 0)) {
            findings.push_back(
                table.file + ": table " + name +
                (has_tenant ? " has an org_id and is listed as shared" : " has no org_id")
            );
        }
    }
    return findings;
}

TEST(Migrations, AreNumberedAndKeepTenantsApart) {
    EXPECT_THAT(CheckMigrations(SourceRoot()), testing::IsEmpty());
}

TEST(Migrations, ListedTablesExist) {
    const auto tables = CreatedTables(SourceRoot());
    for (const TableRow& row : ReadTable(SourceRoot() / "contrib/lint/tables.txt")) {
        EXPECT_EQ(tables.count(row.key), 1U) << row.key;
    }
}

TEST(Migrations, AGapAndATableWithoutTenantAreReported) {
    PlantedTree tree;
    tree.Write("contrib/lint/tables.txt", "orgs : the tenants themselves\n");
    tree.Write(
        "kernel/db/migrations/0001_a.sql",
        "CREATE TABLE orgs (id TEXT PRIMARY KEY);\n"
        "CREATE TABLE mails (\n    id TEXT,\n    org_id TEXT NOT NULL\n);\n"
    );
    tree.Write(
        "kernel/db/migrations/0003_b.sql",
        "create table loose (\n    id TEXT, -- org_id TEXT NOT NULL\n    n BIGINT CHECK (n > "
        "0)\n);\n"
        "CREATE TABLE maybe (org_id TEXT);\n"
    );
    EXPECT_THAT(
        CheckMigrations(tree.root()),
        testing::ElementsAre(
            "kernel/db/migrations/0003_b.sql should have number 2",
            "kernel/db/migrations/0003_b.sql: table loose has no org_id",
            "kernel/db/migrations/0003_b.sql: table maybe has no org_id"
        )
    );
}

TEST(Migrations, TwoWithOneNumberAreReported) {
    PlantedTree tree;
    tree.Write("contrib/lint/tables.txt", "orgs : the tenants themselves\n");
    tree.Write("kernel/db/migrations/0001_a.sql", "");
    tree.Write("kernel/db/migrations/0001_b.sql", "");
    EXPECT_THAT(
        CheckMigrations(tree.root()),
        testing::ElementsAre("kernel/db/migrations/0001_b.sql should have number 2")
    );
}

}  // namespace
}  // namespace opensend::lint
