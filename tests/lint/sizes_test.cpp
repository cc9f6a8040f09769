// Files and folders stay small enough to be read: exceptions stand in contrib/lint/sizes.txt.
#include <algorithm>
#include <map>

#include <gmock/gmock.h>

#include "tests/lint/tree.h"

namespace opensend::lint {
namespace {

constexpr size_t kSourceLines = 500;
constexpr size_t kHeaderLines = 250;
constexpr size_t kFolderSources = 14;

bool IsHeader(const std::string& path) {
    const auto extension = std::filesystem::path(path).extension();
    return extension == ".h" || extension == ".hpp";
}

Findings CheckSizes(const std::filesystem::path& root) {
    std::map<std::string, size_t> exceptions;
    for (const TableRow& row : ReadTable(root / "contrib/lint/sizes.txt")) {
        exceptions[row.key] = std::stoul(row.values.at(0));
    }
    const auto limit_of = [&](const std::string& path, size_t limit) {
        const auto found = exceptions.find(path);
        return found == exceptions.end() ? limit : found->second;
    };
    Findings findings;
    const auto check = [&](const std::string& path, size_t size, size_t limit, const char* unit) {
        if (size <= limit) return;
        findings.push_back(
            path + " has " + std::to_string(size) + unit + ", " + std::to_string(limit) +
            " are allowed"
        );
    };
    std::map<std::string, size_t> sources;
    for (const SourceFile& file :
         ReadTree(root, {"kernel", "plugins", "sdk"}, {".h", ".hpp", ".c", ".cpp"})) {
        const bool header = IsHeader(file.path);
        if (!header) ++sources[FolderOf(file.path)];
        check(
            file.path, file.lines.size(), limit_of(file.path, header ? kHeaderLines : kSourceLines),
            " lines"
        );
    }
    for (const auto& [folder, count] : sources) {
        check(folder, count, limit_of(folder, kFolderSources), " sources");
    }
    return findings;
}

TEST(Sizes, FilesAndFoldersAreSmall) { EXPECT_THAT(CheckSizes(SourceRoot()), testing::IsEmpty()); }

TEST(Sizes, EveryExceptionNamesSomethingThatExists) {
    for (const TableRow& row : ReadTable(SourceRoot() / "contrib/lint/sizes.txt")) {
        EXPECT_TRUE(std::filesystem::exists(SourceRoot() / row.key)) << row.key;
    }
}

TEST(Sizes, WhatGrewTooLargeIsReported) {
    PlantedTree tree;
    tree.Write("contrib/lint/sizes.txt", "kernel/base/big.cpp : 600\n");
    tree.Write("kernel/base/big.cpp", std::string(600, '\n'));
    tree.Write("kernel/base/bigger.cpp", std::string(501, '\n'));
    tree.Write("kernel/base/wide.h", std::string(251, '\n'));
    for (char c = 'a'; c <= 'o'; ++c) {
        tree.Write(std::string("plugins/many/") + c + ".c", "int x;\n");
    }
    EXPECT_THAT(
        CheckSizes(tree.root()), testing::ElementsAre(
                                     "kernel/base/bigger.cpp has 501 lines, 500 are allowed",
                                     "kernel/base/wide.h has 251 lines, 250 are allowed",
                                     "plugins/many has 15 sources, 14 are allowed"
                                 )
    );
}

}  // namespace
}  // namespace opensend::lint
