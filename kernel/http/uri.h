#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opensend::http {

inline constexpr size_t kMaxQueryParameters = 100;

/// Segments of a request path, each decoded once; one leading "api" segment is gone and one
/// trailing slash does not count. nullopt: no route can match (bad escape, %00, not UTF-8, encoded
/// slash or backslash, dot segment, empty segment).
std::optional<std::vector<std::string>> SplitPath(std::string_view raw_path);

/// Decoded parameters in order of arrival.
class QueryParameters {
public:
    void Add(std::string name, std::string value);
    /// The first value.
    std::optional<std::string_view> Find(std::string_view name) const;
    std::vector<std::string_view> All(std::string_view name) const;
    const std::vector<std::pair<std::string, std::string>>& all() const { return values_; }

private:
    std::vector<std::pair<std::string, std::string>> values_;
};

/// "a=1&b=2" without '?'; '+' is a blank. nullopt: bad escape, NUL, not UTF-8, too many.
std::optional<QueryParameters> ParseQuery(std::string_view raw_query);

/// nullopt on an escape that is not % and two hex digits.
std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_blank = false);
/// Everything but letters, digits and "-._~" is escaped.
std::string PercentEncode(std::string_view text);

}  // namespace opensend::http
