#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace opensend::lint {

/// A text file of the tree; `path` is relative to the root, with slashes.
struct SourceFile {
    std::string path;
    std::vector<std::string> lines;
};

/// What a lint has to say: "kernel/a/b.cpp:12 includes kernel/app/app.h". Empty: all is well.
using Findings = std::vector<std::string>;

/// All files below the folders whose extension is in `extensions` (".cpp"), sorted by path. A
/// folder that does not exist has no files.
std::vector<SourceFile> ReadTree(
    const std::filesystem::path& root,
    const std::vector<std::string>& folders,
    const std::vector<std::string>& extensions
);

/// Lines of C++ with comments made blank; strings stay.
std::vector<std::string> WithoutComments(const std::vector<std::string>& lines);

/// One line "key : value value # remark" of a table in contrib/lint; the colon of a key that has
/// colons of its own has blanks around it.
struct TableRow {
    std::string key;
    std::vector<std::string> values;
};
/// Rows in the file's order. A table that is missing or has no row is an exception: a check
/// without its law would pass everything.
std::vector<TableRow> ReadTable(const std::filesystem::path& file);

/// True when `path` is `place` or lies below it.
bool IsWithin(std::string_view path, std::string_view place);
/// The folder a path stands in: "kernel/db" of "kernel/db/row.h".
std::string FolderOf(std::string_view path);
bool IsWordCharacter(char c);
/// Position of `word` with no identifier character at either side; npos when there is none.
size_t FindWord(std::string_view text, std::string_view word, size_t from = 0);

/// The tree that is checked.
std::filesystem::path SourceRoot();

/// A temporary tree in which a test plants what a lint must find.
class PlantedTree {
public:
    PlantedTree();
    ~PlantedTree();
    PlantedTree(const PlantedTree&) = delete;
    PlantedTree& operator=(const PlantedTree&) = delete;

    void Write(const std::string& path, const std::string& text) const;
    const std::filesystem::path& root() const { return root_; }

private:
    std::filesystem::path root_;
};

}  // namespace opensend::lint
