#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace opensend::base {

/// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);
/// Unicode scalar values in valid UTF-8.
size_t CountCodePoints(std::string_view text);
/// The longest prefix of at most `max_bytes` that ends at a code point.
std::string_view TruncateUtf8(std::string_view text, size_t max_bytes);
/// Reads one code point at `at` and moves past it; U+FFFD for an invalid byte.
uint32_t NextCodePoint(std::string_view text, size_t& at);
/// Valid UTF-8: every byte that belongs to no code point becomes U+FFFD.
std::string ReplaceInvalidUtf8(std::string_view text);
bool IsAscii(std::string_view text);

}  // namespace opensend::base
