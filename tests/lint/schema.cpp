#include "tests/lint/schema.h"

namespace opensend::lint {
namespace {

char LowerCase(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

size_t ClosingParenthesis(const std::string& text, size_t open) {
    int depth = 0;
    for (size_t at = open; at < text.size(); ++at) {
        if (text[at] == '(') ++depth;
        if (text[at] == ')' && --depth == 0) return at;
    }
    return text.size();
}

}  // namespace

std::vector<SqlToken> SqlTokens(std::string_view sql) {
    std::vector<SqlToken> tokens;
    for (size_t at = 0; at < sql.size();) {
        const char c = sql[at];
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
            ++at;
            continue;
        }
        size_t end = at + 1;
        if (c == '\'') {
            end = sql.find('\'', end);
            end = end == std::string_view::npos ? sql.size() : end + 1;
        } else if (IsWordCharacter(c) || c == '$') {
            while (end < sql.size() && IsWordCharacter(sql[end])) ++end;
        }
        SqlToken token{std::string(sql.substr(at, end - at)), at};
        for (char& letter : token.text) letter = LowerCase(letter);
        tokens.push_back(std::move(token));
        at = end;
    }
    return tokens;
}

std::map<std::string, TableText> CreatedTables(const std::filesystem::path& root) {
    std::map<std::string, TableText> tables;
    for (const SourceFile& file : ReadTree(root, {"kernel/db/migrations"}, {".sql"})) {
        std::string text;
        for (const std::string& line : file.lines) {
            text.append(line.substr(0, line.find("--"))).push_back('\n');
        }
        const auto tokens = SqlTokens(text);
        for (size_t i = 0; i + 1 < tokens.size(); ++i) {
            if (tokens[i].text != "create" || tokens[i + 1].text != "table") continue;
            size_t name = i + 2;
            while (name < tokens.size() &&
                   (tokens[name].text == "if" || tokens[name].text == "not" ||
                    tokens[name].text == "exists")) {
                ++name;
            }
            if (name + 1 >= tokens.size() || tokens[name + 1].text != "(") continue;
            const size_t open = tokens[name + 1].at;
            tables[tokens[name].text] = {
                file.path, text.substr(open + 1, ClosingParenthesis(text, open) - open - 1)};
        }
    }
    return tables;
}

std::set<std::string> TenantTables(const std::filesystem::path& root) {
    std::set<std::string> names;
    for (const auto& [name, table] : CreatedTables(root)) {
        if (FindWord(table.body, "org_id") != std::string::npos) names.insert(name);
    }
    return names;
}

}  // namespace opensend::lint
