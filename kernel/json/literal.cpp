#include "kernel/json/literal.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"

namespace opensend::json {
namespace {

/// 0: copied as it is; 1: part of a longer sequence; else the letter of the escape.
constexpr std::array<char, 256> MakeEscapeTable() {
    std::array<char, 256> table{};
    for (size_t i = 0; i < 0x20; ++i) table[i] = 'u';
    for (size_t i = 0x80; i < 0x100; ++i) table[i] = 1;
    table['\b'] = 'b';
    table['\t'] = 't';
    table['\n'] = 'n';
    table['\f'] = 'f';
    table['\r'] = 'r';
    table['"'] = '"';
    table['\\'] = '\\';
    return table;
}
constexpr auto kEscapes = MakeEscapeTable();

void AppendEscape(std::string& out, char letter, uint8_t byte) {
    static constexpr std::string_view kHex = "0123456789abcdef";
    out += '\\';
    out += letter;
    if (letter == 'u') {
        out += "00";
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
    }
}

}  // namespace

void AppendString(std::string& out, std::string_view text, LineSeparators separators) {
    out.reserve(out.size() + text.size() + 2);
    out += '"';
    size_t copied = 0;
    for (size_t at = 0; at < text.size();) {
        const auto byte = static_cast<uint8_t>(text[at]);
        const char escape = kEscapes[byte];
        if (escape == 0) {
            ++at;
            continue;
        }
        const size_t start = at;
        std::string_view instead;
        if (escape == 1) {
            const uint32_t point = base::NextCodePoint(text, at);
            const bool separator = point == 0x2028 || point == 0x2029;
            if (point == 0xFFFD)
                instead = "\xEF\xBF\xBD";
            else if (separator && separators == LineSeparators::kEscaped)
                instead = point == 0x2028 ? "\\u2028" : "\\u2029";
            else
                continue;
        } else {
            ++at;
        }
        out.append(text, copied, start - copied);
        copied = at;
        if (escape == 1)
            out += instead;
        else
            AppendEscape(out, escape, byte);
    }
    out.append(text, copied);
    out += '"';
}

void AppendNumber(std::string& out, double number) {
    OPENSEND_CHECK(std::isfinite(number), "JSON has finite numbers only");
    if (std::abs(number) < 9007199254740992.0 && std::trunc(number) == number) {
        base::AppendPiece(out, static_cast<int64_t>(number));
        return;
    }
    if (number < 0) out += '-';
    std::array<char, 40> buffer{};
    const char* end = std::to_chars(
                          buffer.data(), buffer.data() + buffer.size(), std::abs(number),
                          std::chars_format::scientific
    )
                          .ptr;
    const std::string_view shortest(buffer.data(), static_cast<size_t>(end - buffer.data()));
    const size_t e = shortest.find('e');
    std::string digits(shortest.substr(0, 1));
    if (e > 2) digits += shortest.substr(2, e - 2);
    int exponent = 0;
    const size_t exponent_at = e + (shortest[e + 1] == '+' ? 2 : 1);
    std::from_chars(buffer.data() + exponent_at, end, exponent);

    const int count = static_cast<int>(digits.size());
    const int point = exponent + 1;  // digits before the decimal point
    if (point >= count && point <= 21) {
        out += digits;
        out.append(static_cast<size_t>(point - count), '0');
    } else if (point > 0 && point <= 21) {
        const auto whole = static_cast<size_t>(point);
        base::AppendPiece(out, base::Cat(digits.substr(0, whole), '.', digits.substr(whole)));
    } else if (point > -6 && point <= 0) {
        out += "0.";
        out.append(static_cast<size_t>(-point), '0');
        out += digits;
    } else {
        out += digits[0];
        if (count > 1) {
            out += '.';
            out.append(digits, 1);
        }
        out += exponent < 0 ? "e-" : "e+";
        base::AppendPiece(out, std::abs(exponent));
    }
}

}  // namespace opensend::json
