// Nothing in the tree is left for later or switched off. The words are put together here so that
// this file passes its own check.
#include <gmock/gmock.h>

#include "tests/lint/tree.h"

namespace opensend::lint {
namespace {

struct ForbiddenWord {
    std::string text;
    bool whole;  // false: it may go on
};
const std::vector<ForbiddenWord>& ForbiddenWords() {
    static const std::vector<ForbiddenWord> kWords = {
        {std::string("TO") + "DO",            true },
        {std::string("FIX") + "ME",           true },
        {std::string("XX") + "X",             true },
        {std::string("not ") + "implemented", true },
        {std::string("GTEST") + "_SKIP",      true },
        {std::string("DIS") + "ABLED_",       false},
    };
    return kWords;
}

bool Contains(const std::string& line, const ForbiddenWord& word) {
    if (word.whole) return FindWord(line, word.text) != std::string::npos;
    const size_t at = line.find(word.text);
    return at != std::string::npos && (at == 0 || !IsWordCharacter(line[at - 1]));
}

Findings CheckForbiddenWords(const std::filesystem::path& root) {
    Findings findings;
    const std::vector<std::string> extensions = {".h",    ".hpp", ".c",  ".cpp",  ".sql", ".cmake",
                                                 ".http", ".py",  ".sh", ".mjs",  ".js",  ".ts",
                                                 ".md",   ".txt", ".in", ".conf", ""};
    for (const SourceFile& file :
         ReadTree(root, {"kernel", "plugins", "sdk", "tests"}, extensions)) {
        // Seeds of fuzzers are bytes, not our words; packages are not ours either.
        if (IsWithin(file.path, "tests/fuzz/corpus")) continue;
        if (file.path.find("/node_modules/") != std::string::npos) continue;
        for (size_t i = 0; i < file.lines.size(); ++i) {
            for (const ForbiddenWord& word : ForbiddenWords()) {
                if (!Contains(file.lines[i], word)) continue;
                findings.push_back(file.path + ":" + std::to_string(i + 1) + " says " + word.text);
            }
        }
    }
    return findings;
}

TEST(ForbiddenWords, NothingIsLeftForLater) {
    EXPECT_THAT(CheckForbiddenWords(SourceRoot()), testing::IsEmpty());
}

TEST(ForbiddenWords, EachIsReportedWithItsLine) {
    PlantedTree tree;
    std::string text = "// a placeholder" + std::string(6, 'X') + "\n";
    for (const ForbiddenWord& word : ForbiddenWords()) text += "// " + word.text + "\n";
    tree.Write("tests/unit/a_test.cpp", text);
    tree.Write("tests/fuzz/corpus/a/seed", text);
    Findings expected;
    for (size_t i = 0; i < ForbiddenWords().size(); ++i) {
        expected.push_back(
            "tests/unit/a_test.cpp:" + std::to_string(i + 2) + " says " + ForbiddenWords()[i].text
        );
    }
    EXPECT_EQ(CheckForbiddenWords(tree.root()), expected);
}

TEST(ForbiddenWords, AWordThatGoesOnIsReported) {
    PlantedTree tree;
    tree.Write("kernel/a.cpp", "TEST(A, " + ForbiddenWords().back().text + "Works) {}\n");
    EXPECT_EQ(CheckForbiddenWords(tree.root()).size(), 1U);
}

}  // namespace
}  // namespace opensend::lint
