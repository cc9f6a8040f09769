#include "kernel/runtime/settings/properties.h"

#include <map>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"

namespace opensend::runtime {
namespace {

constexpr size_t kMaxPropertiesProblems = 20;

/// What is wrong with a line; empty: nothing. Lines without content are not asked about.
std::string LineProblem(std::string_view line) {
    if (line.size() > kMaxPropertiesLine) return "the line is longer than 16 KiB";
    if (!base::IsUtf8(line)) return "the line is not UTF-8";
    if (base::HasControl(line, true)) return "the line holds a control character";
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) return "the line has no equals sign";
    const auto key = base::Trim(line.substr(0, equals));
    if (key.empty()) return "the line has no key";
    if (key.size() > 200) return "the key is longer than 200 characters";
    return {};
}

}  // namespace

PropertiesFile ParseProperties(std::string_view text) {
    PropertiesFile file;
    if (text.size() > kMaxPropertiesBytes) {
        file.problems.emplace_back("the file is larger than 1 MiB");
        return file;
    }
    if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
    std::map<std::string, size_t, std::less<>> seen;
    size_t number = 0;
    for (auto line : base::Split(text, '\n')) {
        ++number;
        line = base::Trim(line);
        if (line.empty() || line.front() == '#') continue;
        if (const auto problem = LineProblem(line); !problem.empty()) {
            file.problems.push_back(base::Cat("line ", number, ": ", problem));
            if (file.problems.size() >= kMaxPropertiesProblems) return file;
            continue;
        }
        const size_t equals = line.find('=');
        Property entry{
            std::string(base::Trim(line.substr(0, equals))),
            std::string(base::Trim(line.substr(equals + 1))), number};
        const auto [at, fresh] = seen.emplace(entry.key, file.entries.size());
        if (fresh) {
            file.entries.push_back(std::move(entry));
        } else {
            auto& earlier = file.entries[at->second];
            file.warnings.push_back(base::Cat(
                "line ", number, ": ", entry.key, " replaces the value of line ", earlier.line
            ));
            earlier = std::move(entry);
        }
    }
    return file;
}

std::string SetProperties(
    std::string_view text, const std::vector<std::pair<std::string, std::string>>& values
) {
    const auto key_of = [](std::string_view line) {
        line = base::Trim(line);
        const size_t equals = line.find('=');
        if (line.empty() || line.front() == '#' || equals == std::string_view::npos)
            return std::string_view();
        return base::Trim(line.substr(0, equals));
    };
    std::vector<std::string> lines;
    for (const auto line : base::Split(text, '\n')) lines.emplace_back(line);
    if (lines.back().empty()) lines.pop_back();
    for (const auto& [key, value] : values) {
        size_t at = lines.size();
        for (size_t i = 0; i < lines.size(); ++i) {
            if (key_of(lines[i]) == key) at = i;
        }
        if (at == lines.size()) lines.emplace_back();
        lines[at] = base::Cat(key, " = ", value);
    }
    return base::Cat(base::Join(lines, "\n"), '\n');
}

}  // namespace opensend::runtime
