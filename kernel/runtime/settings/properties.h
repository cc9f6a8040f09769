#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opensend::runtime {

inline constexpr size_t kMaxPropertiesBytes = 1024 * 1024;
inline constexpr size_t kMaxPropertiesLine = 16 * 1024;

/// One `key = value` line; both trimmed.
struct Property {
    std::string key, value;
    size_t line = 0;
};

struct PropertiesFile {
    std::vector<Property> entries;      // each key once, with its last value
    std::vector<std::string> problems;  // "line 3: no equals sign"
    std::vector<std::string> warnings;  // a key that stands twice
};

/// Any bytes are allowed; what is not a properties file is a problem.
PropertiesFile ParseProperties(std::string_view text);

/// The text with these values: in the place of the last line of that key, or at the end. Everything
/// else stays as it was, comments included.
std::string SetProperties(
    std::string_view text, const std::vector<std::pair<std::string, std::string>>& values
);

}  // namespace opensend::runtime
