#pragma once

#include <string>
#include <string_view>

namespace opensend::json {

enum class LineSeparators { kPlain = 1, kEscaped };

/// A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. U+2028 and U+2029 end a
/// line in older JavaScript, hence the choice.
void AppendString(std::string& out, std::string_view text, LineSeparators separators);

/// A finite number the way ECMAScript prints it: shortest text that reads back as the same double.
void AppendNumber(std::string& out, double number);

}  // namespace opensend::json
