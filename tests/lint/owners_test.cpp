// Some words have a home: contrib/lint/owners.txt says where each may be written.
#include <algorithm>

#include <gmock/gmock.h>

#include "tests/lint/tree.h"

namespace opensend::lint {
namespace {

bool CutSuffix(std::string_view& word, std::string_view suffix) {
    if (word.size() <= suffix.size()) return false;
    if (word.substr(word.size() - suffix.size()) != suffix) return false;
    word.remove_suffix(suffix.size());
    return true;
}

/// Finds `word`, which begins an identifier there. At its end, [a-z] stands for a letter that
/// follows and [^:] for the absence of a colon; a blank matches any number of blanks.
bool Mentions(const std::string& line, std::string_view word) {
    const bool letter_follows = CutSuffix(word, "[a-z]");
    const bool no_colon_follows = CutSuffix(word, "[^:]");
    for (size_t start = 0; start < line.size(); ++start) {
        if (start > 0 && IsWordCharacter(line[start - 1]) && IsWordCharacter(word.front())) {
            continue;
        }
        size_t at = start;
        size_t i = 0;
        for (; i < word.size(); ++i) {
            if (word[i] == ' ') {
                while (at < line.size() && line[at] == ' ') ++at;
            } else if (at < line.size() && line[at] == word[i]) {
                ++at;
            } else {
                break;
            }
        }
        if (i < word.size()) continue;
        const char next = at < line.size() ? line[at] : '\n';
        if (letter_follows && (next < 'a' || next > 'z')) continue;
        if (no_colon_follows && next == ':') continue;
        return true;
    }
    return false;
}

Findings CheckOwners(const std::filesystem::path& root) {
    const auto rows = ReadTable(root / "contrib/lint/owners.txt");
    Findings findings;
    for (const SourceFile& file :
         ReadTree(root, {"kernel", "plugins", "sdk"}, {".h", ".hpp", ".c", ".cpp"})) {
        const auto lines = WithoutComments(file.lines);
        for (const TableRow& row : rows) {
            const bool at_home =
                std::any_of(row.values.begin(), row.values.end(), [&](const auto& place) {
                    return IsWithin(file.path, place);
                });
            if (at_home) continue;
            for (size_t i = 0; i < lines.size(); ++i) {
                if (!Mentions(lines[i], row.key)) continue;
                findings.push_back(file.path + ":" + std::to_string(i + 1) + " writes " + row.key);
            }
        }
    }
    return findings;
}

TEST(Owners, WordsStayAtHome) { EXPECT_THAT(CheckOwners(SourceRoot()), testing::IsEmpty()); }

TEST(Owners, AWordAwayFromHomeIsReportedWithItsLine) {
    PlantedTree tree;
    tree.Write(
        "contrib/lint/owners.txt",
        "std::thread[^:] : kernel/runtime\ncatch (...) : kernel/cli/main.cpp\nPQ[a-z] : kernel/db\n"
    );
    tree.Write("kernel/runtime/worker.cpp", "std::thread t;\n");
    tree.Write("kernel/cli/main.cpp", "} catch (...) {\n");
    tree.Write("kernel/db/backend/session.cpp", "PQexec();\n");
    tree.Write(
        "kernel/queue/a.cpp",
        "// std::thread is for others\nstd::thread t;\n} catch(...) {\nPQexec();\nEPQx(); PQ();\n"
        "std::thread::id id;\n"
    );
    EXPECT_THAT(
        CheckOwners(tree.root()),
        testing::ElementsAre(
            "kernel/queue/a.cpp:2 writes std::thread[^:]",
            "kernel/queue/a.cpp:3 writes catch (...)", "kernel/queue/a.cpp:4 writes PQ[a-z]"
        )
    );
}

TEST(Owners, EveryHomeExists) {
    for (const TableRow& row : ReadTable(SourceRoot() / "contrib/lint/owners.txt")) {
        for (const std::string& place : row.values) {
            EXPECT_TRUE(std::filesystem::exists(SourceRoot() / place)) << row.key << ": " << place;
        }
    }
}

TEST(Owners, CommentsAreNoCodeAndStringsAre) {
    const auto lines = WithoutComments(
        {"a /* b", "c */ d // e", "\"// f\" '\\'' // g", "R\"x(/* h)x\" 1'000 /* i */ j"}
    );
    EXPECT_THAT(
        lines, testing::ElementsAre(
                   "a     ", "     d     ", "\"// f\" '\\''     ", "R\"x(/* h)x\" 1'000         j"
               )
    );
}

}  // namespace
}  // namespace opensend::lint
