#include "tests/lint/tree.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace opensend::lint {
namespace {

std::vector<std::string> ReadLines(const std::filesystem::path& file) {
    std::ifstream in(file);
    if (!in) throw std::runtime_error("cannot read " + file.string());
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(std::move(line));
    return lines;
}

/// Walks C++ text by character and blanks what stands in comments.
class CommentEraser {
public:
    explicit CommentEraser(std::string text) : text_(std::move(text)) {}

    std::string Run() {
        while (at_ < text_.size()) {
            if (Starts("//")) {
                BlankUntil("\n");
            } else if (Starts("/*")) {
                BlankUntil("*/");
                BlankHere(2);
            } else if (Starts("R\"") && (at_ == 0 || !IsWordCharacter(text_[at_ - 1]))) {
                SkipRawString();
            } else if (text_[at_] == '"') {
                SkipQuoted('"');
            } else if (text_[at_] == '\'' && (at_ == 0 || !IsWordCharacter(text_[at_ - 1]))) {
                SkipQuoted('\'');
            } else {
                ++at_;
            }
        }
        return std::move(text_);
    }

private:
    bool Starts(std::string_view with) const { return text_.compare(at_, with.size(), with) == 0; }

    void BlankHere(size_t count) {
        for (; count > 0 && at_ < text_.size(); --count, ++at_) {
            if (text_[at_] != '\n') text_[at_] = ' ';
        }
    }
    void BlankUntil(std::string_view end) {
        const size_t stop = text_.find(end, at_ + 2);
        BlankHere((stop == std::string::npos ? text_.size() : stop) - at_);
    }
    void SkipQuoted(char quote) {
        for (++at_; at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n'; ++at_) {
            if (text_[at_] == '\\') ++at_;
        }
        ++at_;
    }
    void SkipRawString() {
        const size_t open = text_.find('(', at_);
        if (open == std::string::npos) {
            at_ = text_.size();
            return;
        }
        const std::string close = ")" + text_.substr(at_ + 2, open - at_ - 2) + "\"";
        const size_t end = text_.find(close, open);
        at_ = end == std::string::npos ? text_.size() : end + close.size();
    }

    std::string text_;
    size_t at_ = 0;
};

}  // namespace

std::vector<SourceFile> ReadTree(
    const std::filesystem::path& root,
    const std::vector<std::string>& folders,
    const std::vector<std::string>& extensions
) {
    std::vector<SourceFile> files;
    for (const std::string& folder : folders) {
        if (!std::filesystem::exists(root / folder)) continue;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
            if (!entry.is_regular_file()) continue;
            const std::string extension = entry.path().extension().string();
            if (std::find(extensions.begin(), extensions.end(), extension) == extensions.end()) {
                continue;
            }
            files.push_back(
                {entry.path().lexically_relative(root).generic_string(), ReadLines(entry.path())}
            );
        }
    }
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
        return a.path < b.path;
    });
    return files;
}

std::vector<std::string> WithoutComments(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text.append(line).push_back('\n');
    std::istringstream in(CommentEraser(std::move(text)).Run());
    std::vector<std::string> result;
    for (std::string line; std::getline(in, line);) result.push_back(std::move(line));
    return result;
}

std::vector<TableRow> ReadTable(const std::filesystem::path& file) {
    std::vector<TableRow> rows;
    for (std::string line : ReadLines(file)) {
        line = line.substr(0, line.find('#'));
        if (line.find_first_not_of(" \t") == std::string::npos) continue;
        size_t colon = line.find(" :");
        if (colon == std::string::npos) {
            throw std::runtime_error(file.string() + ": no \" :\" in: " + line);
        }
        TableRow row;
        row.key = line.substr(0, colon);
        row.key.erase(row.key.find_last_not_of(" \t") + 1);
        std::istringstream values(line.substr(colon + 2));
        for (std::string value; values >> value;) row.values.push_back(std::move(value));
        rows.push_back(std::move(row));
    }
    if (rows.empty()) throw std::runtime_error(file.string() + " has no row");
    return rows;
}

bool IsWithin(std::string_view path, std::string_view place) {
    return path.substr(0, place.size()) == place &&
           (path.size() == place.size() || path[place.size()] == '/');
}

std::string FolderOf(std::string_view path) {
    const size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? "" : std::string(path.substr(0, slash));
}

bool IsWordCharacter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

size_t FindWord(std::string_view text, std::string_view word, size_t from) {
    for (size_t at = text.find(word, from); at != std::string_view::npos;
         at = text.find(word, at + 1)) {
        const size_t end = at + word.size();
        const bool starts = at == 0 || !IsWordCharacter(text[at - 1]);
        const bool ends = end == text.size() || !IsWordCharacter(text[end]);
        if (starts && ends) return at;
    }
    return std::string_view::npos;
}

std::filesystem::path SourceRoot() { return OPENSEND_SOURCE_DIR; }

PlantedTree::PlantedTree() {
    const std::string base =
        (std::filesystem::temp_directory_path() / "opensend-lint-").string() + std::string(6, 'X');
    std::vector<char> name(base.begin(), base.end());
    name.push_back('\0');
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    root_ = name.data();
}

PlantedTree::~PlantedTree() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
}

void PlantedTree::Write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream out(root_ / path);
    out << text;
    if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace opensend::lint
