// SQL of resources names the tenant: contrib/lint/tenancy.txt lists the queries that do not.
#include <map>
#include <set>

#include <gmock/gmock.h>

#include "tests/lint/schema.h"

namespace opensend::lint {
namespace {

struct NamedQuery {
    std::string file, name, sql;
};

/// Values of the string literals in C++ text, joined; names of macros are replaced by theirs.
std::string JoinLiterals(
    const std::string& code, const std::map<std::string, std::string>& macros
) {
    std::string sql;
    for (size_t at = 0; at < code.size();) {
        if (code.compare(at, 6, "R\"sql(") == 0) {
            const size_t end = code.find(")sql\"", at);
            sql += code.substr(at + 6, end - at - 6);
            at = end == std::string::npos ? code.size() : end + 5;
        } else if (code[at] == '"') {
            const size_t end = code.find('"', at + 1);
            sql += code.substr(at + 1, end - at - 1);
            at = end == std::string::npos ? code.size() : end + 1;
        } else if (IsWordCharacter(code[at])) {
            size_t end = at;
            while (end < code.size() && IsWordCharacter(code[end])) ++end;
            const auto macro = macros.find(code.substr(at, end - at));
            if (macro != macros.end()) sql += macro->second;
            at = end;
        } else {
            ++at;
        }
    }
    return sql;
}

std::map<std::string, std::string> Macros(const std::vector<std::string>& lines) {
    std::map<std::string, std::string> macros;
    for (size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].rfind("#define ", 0) != 0) continue;
        std::string text = lines[i];
        while (!text.empty() && text.back() == '\\' && i + 1 < lines.size()) {
            text.pop_back();
            text += lines[++i];
        }
        const size_t end = text.find_first_of(" (", 8);
        if (end == std::string::npos) continue;
        macros[text.substr(8, end - 8)] = JoinLiterals(text.substr(end), macros);
    }
    return macros;
}

/// Every `db::Query kName{"name", …};` of a file.
std::vector<NamedQuery> QueriesOf(const SourceFile& file) {
    const auto lines = WithoutComments(file.lines);
    const auto macros = Macros(lines);
    std::string text;
    for (const std::string& line : lines) text.append(line).push_back('\n');
    std::vector<NamedQuery> queries;
    for (size_t at = text.find("db::Query k"); at != std::string::npos;
         at = text.find("db::Query k", at + 1)) {
        const size_t open = text.find('{', at);
        const size_t close = text.find("};", at);
        if (open == std::string::npos || close == std::string::npos || open > close) continue;
        const std::string code = text.substr(open + 1, close - open - 1);
        const size_t begin = code.find('"') + 1;
        const size_t end = code.find('"', begin);
        queries.push_back(
            {file.path, code.substr(begin, end - begin), JoinLiterals(code.substr(end + 1), macros)}
        );
    }
    return queries;
}

bool Touches(const std::vector<SqlToken>& sql, const std::set<std::string>& tables) {
    for (size_t i = 0; i + 1 < sql.size(); ++i) {
        const std::string& word = sql[i].text;
        const bool names_table =
            word == "from" || word == "join" || word == "into" || word == "update";
        if (names_table && tables.count(sql[i + 1].text) > 0) return true;
    }
    return false;
}

/// An insert fills org_id; anything else asks for one tenant with `org_id = $n`.
bool NamesTenant(const std::vector<SqlToken>& sql) {
    const bool insert = !sql.empty() && sql[0].text == "insert";
    for (size_t i = 0; i < sql.size(); ++i) {
        if (insert && sql[i].text == ")") return false;
        if (sql[i].text != "org_id") continue;
        if (insert) return true;
        if (i + 2 < sql.size() && sql[i + 1].text == "=" && sql[i + 2].text[0] == '$') return true;
    }
    return false;
}

Findings CheckTenancy(const std::filesystem::path& root) {
    const auto tables = TenantTables(root);
    std::set<std::string> unused;
    for (const TableRow& row : ReadTable(root / "contrib/lint/tenancy.txt")) unused.insert(row.key);
    const std::set<std::string> listed = unused;
    Findings findings;
    for (const SourceFile& file : ReadTree(root, {"kernel/resources"}, {".cpp", ".h"})) {
        for (const NamedQuery& query : QueriesOf(file)) {
            const auto sql = SqlTokens(query.sql);
            if (!Touches(sql, tables) || NamesTenant(sql)) continue;
            unused.erase(query.name);
            if (listed.count(query.name) > 0) continue;
            findings.push_back(query.file + ": " + query.name + " does not name the tenant");
        }
    }
    for (const std::string& name : unused) {
        findings.push_back(name + " is listed in contrib/lint/tenancy.txt and needs no exception");
    }
    return findings;
}

TEST(Tenancy, QueriesOfResourcesNameTheTenant) {
    EXPECT_THAT(CheckTenancy(SourceRoot()), testing::IsEmpty());
}

TEST(Tenancy, TheQueriesAreFound) {
    size_t found = 0;
    for (const SourceFile& file : ReadTree(SourceRoot(), {"kernel/resources"}, {".cpp"})) {
        size_t written = 0;
        for (const std::string& line : file.lines) written += line.find("db::Query k") == 10;
        EXPECT_EQ(QueriesOf(file).size(), written) << file.path;
        found += written;
    }
    EXPECT_GT(found, 20U);
}

TEST(Tenancy, AQueryForAllTenantsIsReported) {
    PlantedTree tree;
    tree.Write(
        "kernel/db/migrations/0001_a.sql",
        "CREATE TABLE mails (id TEXT, org_id TEXT NOT NULL);\nCREATE TABLE orgs (id TEXT);\n"
    );
    tree.Write("contrib/lint/tenancy.txt", "mails.all : everything\nmails.gone : no more\n");
    tree.Write(
        "kernel/resources/mails/mail_store.cpp",
        "#define COLUMNS \"id, \" \\\n    \"org_id FROM mails\"\n"
        "constexpr db::Query kA{\"mails.find\", \"SELECT \" COLUMNS \" WHERE id = $1\"};\n"
        "constexpr db::Query kB{\"mails.get\", \"SELECT \" COLUMNS \" WHERE org_id = $1\"};\n"
        "constexpr db::Query kC{\"mails.delete\", R\"sql(\n    DELETE FROM mails)sql\"};\n"
        "constexpr db::Query kD{\n    \"mails.all\", \"SELECT 1 FROM mails\"};\n"
        "constexpr db::Query kE{\"mails.add\", \"INSERT INTO mails (id) VALUES ($1)\"};\n"
        "constexpr db::Query kF{\"mails.put\", \"INSERT INTO mails (id, org_id) VALUES ($1, "
        "$2)\"};\n"
        "constexpr db::Query kG{\"orgs.list\", \"SELECT id FROM orgs\"};\n"
    );
    const std::string file = "kernel/resources/mails/mail_store.cpp: ";
    EXPECT_THAT(
        CheckTenancy(tree.root()),
        testing::ElementsAre(
            file + "mails.find does not name the tenant",
            file + "mails.delete does not name the tenant",
            file + "mails.add does not name the tenant",
            "mails.gone is listed in contrib/lint/tenancy.txt and needs no exception"
        )
    );
}

}  // namespace
}  // namespace opensend::lint
