#include "kernel/base/encoding.h"

#include <array>

namespace opensend::base {
namespace {

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlSafe =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr int8_t kBad = -1;
constexpr int8_t kSpace = -2;
constexpr int8_t kPad = -3;

constexpr std::array<int8_t, 256> MakeDecodeTable() {
    std::array<int8_t, 256> table{};
    for (auto& entry : table) entry = kBad;
    for (size_t i = 0; i < 64; ++i) {
        table[static_cast<unsigned char>(kStandard[i])] = static_cast<int8_t>(i);
        table[static_cast<unsigned char>(kUrlSafe[i])] = static_cast<int8_t>(i);
    }
    for (const char c : {' ', '\t', '\r', '\n'}) table[static_cast<unsigned char>(c)] = kSpace;
    table[static_cast<unsigned char>('=')] = kPad;
    return table;
}
constexpr auto kDecode = MakeDecodeTable();

std::string Encode(std::string_view bytes, std::string_view alphabet, bool pad) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    size_t i = 0;
    const auto at = [&](size_t k) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[k])); };
    for (; i + 2 < bytes.size(); i += 3) {
        const uint32_t v = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
        out += alphabet[v >> 18];
        out += alphabet[v >> 12 & 63];
        out += alphabet[v >> 6 & 63];
        out += alphabet[v & 63];
    }
    const size_t rest = bytes.size() - i;
    if (rest > 0) {
        const uint32_t v = at(i) << 16 | (rest > 1 ? at(i + 1) << 8 : 0u);
        out += alphabet[v >> 18];
        out += alphabet[v >> 12 & 63];
        if (rest > 1) out += alphabet[v >> 6 & 63];
        if (pad) out.append(3 - rest, '=');
    }
    return out;
}

std::optional<std::string> DecodeAny(std::string_view text) {
    std::string out;
    out.reserve(text.size() / 4 * 3 + 3);
    uint32_t bits = 0;
    int count = 0;
    size_t pads = 0;
    size_t symbols = 0;
    for (const char c : text) {
        const int8_t v = kDecode[static_cast<unsigned char>(c)];
        if (v == kSpace) continue;
        if (v == kPad) {
            ++pads;
            continue;
        }
        if (v == kBad || pads > 0) return std::nullopt;
        bits = bits << 6 | static_cast<uint32_t>(v);
        ++symbols;
        if (++count == 4) {
            out += static_cast<char>(bits >> 16 & 255);
            out += static_cast<char>(bits >> 8 & 255);
            out += static_cast<char>(bits & 255);
            bits = 0;
            count = 0;
        }
    }
    if (count == 1 || pads > 2 || (pads > 0 && (symbols + pads) % 4 != 0)) return std::nullopt;
    if (count == 2) out += static_cast<char>(bits >> 4 & 255);
    if (count == 3) {
        out += static_cast<char>(bits >> 10 & 255);
        out += static_cast<char>(bits >> 2 & 255);
    }
    return out;
}

bool OnlyFrom(std::string_view text, std::string_view alphabet) {
    return text.find_first_not_of(alphabet) == std::string_view::npos;
}

constexpr std::array<uint32_t, 256> MakeCrcTable() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t c = i;
        for (int k = 0; k < 8; ++k) c = (c & 1) != 0 ? 0xEDB88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    return table;
}
constexpr auto kCrc = MakeCrcTable();

}  // namespace

std::string HexEncode(std::string_view bytes) {
    static constexpr std::string_view kHex = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto u = static_cast<uint8_t>(c);
        out += kHex[u >> 4];
        out += kHex[u & 15];
    }
    return out;
}

std::optional<std::string> HexDecode(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    const auto digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    std::string out;
    out.reserve(text.size() / 2);
    for (size_t i = 0; i < text.size(); i += 2) {
        const int high = digit(text[i]);
        const int low = digit(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high << 4 | low);
    }
    return out;
}

std::string Base64Encode(std::string_view bytes) { return Encode(bytes, kStandard, true); }

std::optional<std::string> Base64Decode(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string_view body = text;
    while (!body.empty() && body.back() == '=' && text.size() - body.size() < 2) {
        body.remove_suffix(1);
    }
    if (!OnlyFrom(body, kStandard)) return std::nullopt;
    return DecodeAny(text);
}

std::optional<std::string> Base64DecodeLenient(std::string_view text) { return DecodeAny(text); }

std::string Base64UrlEncode(std::string_view bytes) { return Encode(bytes, kUrlSafe, false); }

std::optional<std::string> Base64UrlDecode(std::string_view text) {
    if (!OnlyFrom(text, kUrlSafe)) return std::nullopt;
    auto out = DecodeAny(text);
    // A second spelling of the same bytes would make tokens malleable.
    if (out && Base64UrlEncode(*out) != text) return std::nullopt;
    return out;
}

std::string Base32Encode(std::string_view bytes) {
    static constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
    std::string out;
    uint32_t bits = 0;
    int count = 0;
    for (const char c : bytes) {
        bits = bits << 8 | static_cast<uint8_t>(c);
        count += 8;
        while (count >= 5) {
            count -= 5;
            out += kAlphabet[bits >> count & 31];
        }
    }
    if (count > 0) out += kAlphabet[bits << (5 - count) & 31];
    return out;
}

std::optional<std::string> Base32Decode(std::string_view text) {
    std::string out;
    uint32_t bits = 0;
    int held = 0;
    for (const char c : text) {
        uint32_t value = 0;
        if (c >= 'a' && c <= 'z') {
            value = static_cast<uint32_t>(c - 'a');
        } else if (c >= '2' && c <= '7') {
            value = static_cast<uint32_t>(c - '2') + 26;
        } else {
            return std::nullopt;
        }
        bits = (bits << 5) | value;
        held += 5;
        if (held >= 8) {
            held -= 8;
            out += static_cast<char>(static_cast<unsigned char>((bits >> held) & 0xff));
            bits &= (uint32_t{1} << held) - 1;
        }
    }
    if (held >= 5 || bits != 0) return std::nullopt;
    return out;
}

uint32_t Crc32(std::string_view bytes) {
    uint32_t crc = 0xFFFFFFFFu;
    for (const char c : bytes) crc = kCrc[(crc ^ static_cast<uint8_t>(c)) & 255] ^ crc >> 8;
    return crc ^ 0xFFFFFFFFu;
}

}  // namespace opensend::base
