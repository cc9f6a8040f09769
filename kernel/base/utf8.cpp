#include "kernel/base/utf8.h"

#include <algorithm>
#include <cstring>

namespace opensend::base {
namespace {

/// Length of the well-formed sequence at `at`, its value in `cp`; 0: not well-formed.
size_t Sequence(std::string_view text, size_t at, uint32_t& cp) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t lead = byte(at);
    if (lead < 0x80) {
        cp = lead;
        return 1;
    }
    size_t length = 0;
    if (lead >= 0xC2 && lead <= 0xDF)
        length = 2;
    else if (lead >= 0xE0 && lead <= 0xEF)
        length = 3;
    else if (lead >= 0xF0 && lead <= 0xF4)
        length = 4;
    if (length == 0 || at + length > text.size()) return 0;
    cp = lead & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
        if ((byte(at + i) & 0xC0) != 0x80) return 0;
        cp = cp << 6 | (byte(at + i) & 0x3Fu);
    }
    if ((length == 3 && cp < 0x800) || (length == 4 && cp < 0x10000)) return 0;
    if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF)) return 0;
    return length;
}

}  // namespace

bool IsAscii(std::string_view text) {
    size_t i = 0;
    for (; i + 8 <= text.size(); i += 8) {
        uint64_t word = 0;
        std::memcpy(&word, text.data() + i, 8);
        if ((word & 0x8080808080808080u) != 0) return false;
    }
    for (; i < text.size(); ++i) {
        if ((static_cast<uint8_t>(text[i]) & 0x80) != 0) return false;
    }
    return true;
}

bool IsUtf8(std::string_view text) {
    if (IsAscii(text)) return true;
    for (size_t at = 0; at < text.size();) {
        uint32_t cp = 0;
        const size_t length = Sequence(text, at, cp);
        if (length == 0) return false;
        at += length;
    }
    return true;
}

size_t CountCodePoints(std::string_view text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<uint8_t>(c) & 0xC0) != 0x80;
    }));
}

std::string_view TruncateUtf8(std::string_view text, size_t max_bytes) {
    if (text.size() <= max_bytes) return text;
    size_t end = max_bytes;
    while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) --end;
    return text.substr(0, end);
}

uint32_t NextCodePoint(std::string_view text, size_t& at) {
    uint32_t cp = 0;
    const size_t length = Sequence(text, at, cp);
    at += length == 0 ? 1 : length;
    return length == 0 ? 0xFFFD : cp;
}

std::string ReplaceInvalidUtf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const size_t start = at;
        const uint32_t point = NextCodePoint(text, at);
        out += point == 0xFFFD ? std::string_view("\xEF\xBF\xBD") : text.substr(start, at - start);
    }
    return out;
}

}  // namespace opensend::base
