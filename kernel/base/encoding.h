#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace opensend::base {

/// Index order of every base-62 text: digits, upper case, lower case (KEY-02, HOOK message ids).
inline constexpr std::string_view kBase62Alphabet =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

std::string HexEncode(std::string_view bytes);
/// Either case; nullopt on odd length or another character.
std::optional<std::string> HexDecode(std::string_view text);

/// Standard alphabet with padding.
std::string Base64Encode(std::string_view bytes);
/// Standard alphabet, padding required, nothing else allowed.
std::optional<std::string> Base64Decode(std::string_view text);
/// Both alphabets, white space ignored, padding optional: attachment contents (REST 3.4).
std::optional<std::string> Base64DecodeLenient(std::string_view text);
/// URL-safe alphabet without padding.
std::string Base64UrlEncode(std::string_view bytes);
std::optional<std::string> Base64UrlDecode(std::string_view text);

/// RFC 4648 base32, lower case, no padding.
std::string Base32Encode(std::string_view bytes);
/// The inverse; nullopt on another character, an impossible length or bits that say nothing.
std::optional<std::string> Base32Decode(std::string_view text);

/// CRC-32 of KEY-03 (reflected 0xEDB88320).
uint32_t Crc32(std::string_view bytes);

}  // namespace opensend::base
