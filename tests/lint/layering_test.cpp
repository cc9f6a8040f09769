// Includes point downward: contrib/lint/layers.txt says which folder may include which.
#include <map>
#include <optional>
#include <set>

#include <gmock/gmock.h>

#include "tests/lint/tree.h"

namespace opensend::lint {
namespace {

class Layers {
public:
    explicit Layers(const std::vector<TableRow>& rows) {
        for (const TableRow& row : rows) allowed_[row.key] = row.values;
    }
    /// The longest listed folder that holds `path`.
    std::optional<std::string> LayerOf(std::string_view path) const {
        std::optional<std::string> best;
        for (const auto& [folder, unused] : allowed_) {
            if (IsWithin(path, folder) && (!best || folder.size() > best->size())) best = folder;
        }
        return best;
    }
    bool Allows(const std::string& from, const std::string& to) const {
        if (from == to) return true;
        for (const std::string& entry : allowed_.at(from)) {
            if (entry == to || (entry == "kernel" && IsWithin(to, "kernel"))) return true;
        }
        return false;
    }
    const std::map<std::string, std::vector<std::string>>& rows() const { return allowed_; }

private:
    std::map<std::string, std::vector<std::string>> allowed_;
};

/// The file an include line names, as a path from the root; nullopt for libraries.
std::optional<std::string> IncludedPath(const std::string& line, const std::string& includer) {
    const size_t hash = line.find_first_not_of(" \t");
    if (hash == std::string::npos || line[hash] != '#') return std::nullopt;
    const size_t word = line.find("include", hash);
    if (word == std::string::npos) return std::nullopt;
    const size_t open = line.find_first_of("\"<", word);
    if (open == std::string::npos) return std::nullopt;
    const size_t close = line.find(line[open] == '<' ? '>' : '"', open + 1);
    if (close == std::string::npos) return std::nullopt;
    std::string target = line.substr(open + 1, close - open - 1);
    if (IsWithin(target, "opensend")) return "sdk/include/" + target;
    if (line[open] == '<') return std::nullopt;
    for (const char* top : {"kernel", "plugins", "sdk", "tests", "benchmarks"}) {
        if (IsWithin(target, top)) return target;
    }
    return (std::filesystem::path(FolderOf(includer)) / target).lexically_normal().generic_string();
}

/// Name of the plugin or resource a path belongs to, below `parent`.
std::string Member(std::string_view path, const std::string& parent) {
    if (!IsWithin(path, parent) || path.size() == parent.size()) return "";
    const std::string_view rest = path.substr(parent.size() + 1);
    return std::string(rest.substr(0, rest.find('/')));
}

bool IsApiHeader(const std::string& path) {
    const std::string_view end = "_api.h";
    return path.size() > end.size() && path.compare(path.size() - end.size(), end.size(), end) == 0;
}

bool MayInclude(const Layers& layers, const std::string& from, const std::string& target) {
    const auto from_layer = layers.LayerOf(from);
    const auto to_layer = layers.LayerOf(target);
    if (!from_layer || !to_layer || !layers.Allows(*from_layer, *to_layer)) return false;
    // A plugin knows no other plugin; a resource knows another's store, never its routes.
    if (Member(from, "plugins") != Member(target, "plugins") && IsWithin(target, "plugins")) {
        return false;
    }
    const std::string resource = Member(from, "kernel/resources");
    return resource.empty() || !IsApiHeader(target) ||
           Member(target, "kernel/resources") == resource;
}

/// Tests stand beside a plugin and may include anything.
bool IsPluginTest(const std::string& path) {
    return IsWithin(path, "plugins") && path.find("_test.cpp") != std::string::npos;
}

Findings CheckLayers(const std::filesystem::path& root) {
    const Layers layers(ReadTable(root / "contrib/lint/layers.txt"));
    Findings findings;
    std::set<std::string> unlisted;
    for (const SourceFile& file :
         ReadTree(root, {"kernel", "plugins", "sdk"}, {".h", ".hpp", ".c", ".cpp"})) {
        if (IsPluginTest(file.path)) continue;
        if (!layers.LayerOf(file.path)) unlisted.insert(FolderOf(file.path));
        const auto lines = WithoutComments(file.lines);
        for (size_t i = 0; i < lines.size(); ++i) {
            const auto target = IncludedPath(lines[i], file.path);
            if (!target || MayInclude(layers, file.path, *target)) continue;
            findings.push_back(file.path + ":" + std::to_string(i + 1) + " includes " + *target);
        }
    }
    for (const std::string& folder : unlisted) {
        findings.push_back(folder + " has no line in contrib/lint/layers.txt");
    }
    return findings;
}

/// Folders of a line that stand in no line of their own (a misspelling allows nothing), and folders
/// with two lines.
Findings CheckLayerTable(const std::filesystem::path& root) {
    const auto rows = ReadTable(root / "contrib/lint/layers.txt");
    const Layers layers(rows);
    Findings findings;
    std::set<std::string> seen;
    for (const TableRow& row : rows) {
        if (!seen.insert(row.key).second) findings.push_back(row.key + " has two lines");
    }
    for (const auto& [folder, allowed] : layers.rows()) {
        for (const std::string& entry : allowed) {
            if (entry != "kernel" && layers.rows().count(entry) == 0) {
                findings.push_back(folder + " names the unknown folder " + entry);
            }
        }
    }
    return findings;
}

constexpr const char* kPlantedLayers =
    "sdk :\n"
    "kernel/base :\n"
    "kernel/runtime : kernel/base kernel/runtime/setup\n"
    "kernel/runtime/setup : kernel/base\n"
    "kernel/resources/a : kernel/base kernel/resources/b\n"
    "kernel/resources/b : kernel/base\n"
    "kernel/app : kernel\n"
    "plugins : sdk\n";

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Layering, IncludesPointDownward) { EXPECT_THAT(CheckLayers(SourceRoot()), IsEmpty()); }

TEST(Layering, TheTableNamesFoldersItKnows) {
    EXPECT_THAT(CheckLayerTable(SourceRoot()), IsEmpty());
}

TEST(Layering, AnIncludeUpwardIsReportedWithItsLine) {
    PlantedTree tree;
    tree.Write("contrib/lint/layers.txt", kPlantedLayers);
    tree.Write("kernel/base/text.cpp", "#include <string>\n\n#include \"kernel/app/app.h\"\n");
    tree.Write("kernel/app/app.h", "#include \"kernel/base/text.h\"\n");
    EXPECT_THAT(
        CheckLayers(tree.root()), ElementsAre("kernel/base/text.cpp:3 includes kernel/app/app.h")
    );
}

TEST(Layering, TheDeeperFolderHasItsOwnLine) {
    PlantedTree tree;
    tree.Write("contrib/lint/layers.txt", kPlantedLayers);
    tree.Write("kernel/runtime/config.cpp", "#include \"kernel/runtime/setup/loader.h\"\n");
    tree.Write("kernel/runtime/setup/loader.cpp", "#  include \"../config.h\"\n");
    EXPECT_THAT(
        CheckLayers(tree.root()),
        ElementsAre("kernel/runtime/setup/loader.cpp:1 includes kernel/runtime/config.h")
    );
}

TEST(Layering, PluginsSeeTheSdkAndNothingElse) {
    PlantedTree tree;
    tree.Write("contrib/lint/layers.txt", kPlantedLayers);
    tree.Write(
        "plugins/smtp/smtp.cpp",
        "#include <opensend/plugin.hpp>\n#include \"plugins/smtp/reply.h\"\n"
        "#include \"plugins/capture/file.h\"\n#include \"kernel/base/text.h\"\n"
    );
    EXPECT_THAT(
        CheckLayers(tree.root()), ElementsAre(
                                      "plugins/smtp/smtp.cpp:3 includes plugins/capture/file.h",
                                      "plugins/smtp/smtp.cpp:4 includes kernel/base/text.h"
                                  )
    );
}

TEST(Layering, AResourceDoesNotSeeTheRoutesOfAnother) {
    PlantedTree tree;
    tree.Write("contrib/lint/layers.txt", kPlantedLayers);
    tree.Write(
        "kernel/resources/a/a_api.cpp",
        "#include \"kernel/resources/a/a_api.h\"\n#include \"kernel/resources/b/b_store.h\"\n"
        "#include \"kernel/resources/b/b_api.h\"\n"
    );
    EXPECT_THAT(
        CheckLayers(tree.root()),
        ElementsAre("kernel/resources/a/a_api.cpp:3 includes kernel/resources/b/b_api.h")
    );
}

TEST(Layering, AFolderWithoutALineIsReported) {
    PlantedTree tree;
    tree.Write("contrib/lint/layers.txt", kPlantedLayers);
    tree.Write("kernel/fresh/fresh.c", "int x;\n");
    EXPECT_THAT(
        CheckLayers(tree.root()), ElementsAre("kernel/fresh has no line in contrib/lint/layers.txt")
    );
}

TEST(Layering, AMisspeltFolderInTheTableIsReported) {
    PlantedTree tree;
    tree.Write(
        "contrib/lint/layers.txt", "kernel/base :\nkernel/db : kernel/bose\nkernel/base :\n"
    );
    EXPECT_THAT(
        CheckLayerTable(tree.root()),
        ElementsAre("kernel/base has two lines", "kernel/db names the unknown folder kernel/bose")
    );
}

}  // namespace
}  // namespace opensend::lint
