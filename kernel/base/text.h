#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace opensend::base {

inline void AppendPiece(std::string& out, std::string_view piece) { out += piece; }
inline void AppendPiece(std::string& out, char piece) { out += piece; }
template <class T>
requires(std::is_integral_v<T> && !std::is_same_v<T, char> && !std::is_same_v<T, bool>) void AppendPiece(
    std::string& out, T piece
) {
    char buffer[24];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, piece).ptr;
    out.append(buffer, end);
}

/// Joins text, characters and integers.
template <class... Pieces>
std::string Cat(const Pieces&... pieces) {
    std::string out;
    (AppendPiece(out, pieces), ...);
    return out;
}

/// Without ASCII white space at both ends.
std::string_view Trim(std::string_view text);
/// Parts between `separator`; empty parts are kept. "" gives one empty part.
std::vector<std::string_view> Split(std::string_view text, char separator);
/// Trimmed parts of a comma list; empty parts are dropped.
std::vector<std::string> SplitList(std::string_view text);
std::string Join(const std::vector<std::string>& parts, std::string_view separator);

std::string AsciiLower(std::string_view text);
std::string AsciiUpper(std::string_view text);
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
bool StartsWithIgnoreCase(std::string_view text, std::string_view prefix);
std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to);

/// The whole text as a decimal integer; nullopt: anything else, or out of range.
std::optional<int64_t> ParseInt(std::string_view text);

/// True when a C0 control character (TAB included when `allow_tab` is false) or DEL is present.
bool HasControl(std::string_view text, bool allow_tab = false);

}  // namespace opensend::base
