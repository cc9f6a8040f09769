#include <array>
#include <cstdint>
#include <cstring>

#include "kernel/base/utf8.h"
#include "kernel/mime/wire_format.h"

namespace opensend::mime {

namespace {

constexpr size_t kMaxBodyLine = 998;
constexpr size_t kEncodedLine = 76;
constexpr std::string_view kUpperHex = "0123456789ABCDEF";

/// 1: must be written as =XX in quoted-printable wherever it stands.
constexpr std::array<uint8_t, 256> MakeEscapeTable() {
    std::array<uint8_t, 256> table{};
    for (size_t i = 0; i < table.size(); ++i) {
        table[i] = (i < 32 && i != '\t') || i > 126 || i == '=' ? 1 : 0;
    }
    return table;
}
constexpr auto kEscapeTable = MakeEscapeTable();

bool MustEscape(char c) { return kEscapeTable[static_cast<uint8_t>(c)] != 0; }

/// A line start that a mail store or a dot reader could change.
bool IsFragileStart(std::string_view line) {
    return !line.empty() && (line.front() == '.' || line.substr(0, 5) == "From ");
}

bool IsLineBlank(char c) { return c == ' ' || c == '\t'; }

/// Takes the next line off `rest`; `end` is the line end found: "", "\r", "\n" or "\r\n".
std::string_view TakeLine(std::string_view& rest, std::string_view& end) {
    const auto* feed = static_cast<const char*>(std::memchr(rest.data(), '\n', rest.size()));
    size_t length = feed != nullptr ? static_cast<size_t>(feed - rest.data()) : rest.size();
    size_t end_length = feed != nullptr ? 1 : 0;
    const auto* carriage = static_cast<const char*>(std::memchr(rest.data(), '\r', length));
    if (carriage != nullptr) {
        const auto at = static_cast<size_t>(carriage - rest.data());
        end_length = at + 1 == length && feed != nullptr ? 2 : 1;
        length = at;
    }
    const auto line = rest.substr(0, length);
    end = rest.substr(length, end_length);
    rest.remove_prefix(length + end_length);
    return line;
}

/// Bytes of one line that quoted-printable would escape; `is_plain` falls when a byte is no 7bit
/// text.
size_t CountEscapes(std::string_view line, bool& is_plain) {
    size_t escapes = 0;
    size_t equals = 0;
    for (const char c : line) {
        escapes += kEscapeTable[static_cast<uint8_t>(c)];
        equals += c == '=' ? 1u : 0u;
    }
    if (escapes != equals) is_plain = false;
    if (IsFragileStart(line)) {
        ++escapes;
        is_plain = false;
    }
    if (!line.empty() && IsLineBlank(line.back())) ++escapes;
    return escapes;
}

void AppendEscaped(std::string& out, char c) {
    const auto byte = static_cast<uint8_t>(c);
    out += '=';
    out += kUpperHex[byte >> 4];
    out += kUpperHex[byte & 15];
}

void AppendQuotedLine(std::string& out, std::string_view line) {
    size_t column = 0;
    for (size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        const bool is_last = i + 1 == line.size();
        const auto width_of = [&] {
            const bool escape = MustEscape(c) || (is_last && IsLineBlank(c)) ||
                                (column == 0 && IsFragileStart(line.substr(i)));
            return escape ? size_t{3} : size_t{1};
        };
        size_t width = width_of();
        // The soft break's "=" needs the last column unless the line ends here.
        if (column + width > (is_last ? kEncodedLine : kEncodedLine - 1)) {
            out += "=\r\n";
            column = 0;
            width = width_of();
        }
        if (width == 3) {
            AppendEscaped(out, c);
        } else {
            out += c;
        }
        column += width;
    }
}

struct Base64Pairs {
    char pairs[4096][2];
};
constexpr Base64Pairs MakeBase64Pairs() {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    Base64Pairs table{};
    for (size_t i = 0; i < 4096; ++i) {
        table.pairs[i][0] = kAlphabet[i >> 6];
        table.pairs[i][1] = kAlphabet[i & 63];
    }
    return table;
}
constexpr Base64Pairs kBase64Pairs = MakeBase64Pairs();

/// Three bytes at a time; a rest of one or two bytes is padded. Returns the position behind.
char* PutBase64(char* to, const uint8_t* from, size_t count) {
    for (; count >= 3; count -= 3, from += 3, to += 4) {
        const uint32_t bits =
            static_cast<uint32_t>(from[0]) << 16 | static_cast<uint32_t>(from[1]) << 8 | from[2];
        std::memcpy(to, kBase64Pairs.pairs[bits >> 12], 2);
        std::memcpy(to + 2, kBase64Pairs.pairs[bits & 4095], 2);
    }
    if (count == 0) return to;
    const uint32_t bits = static_cast<uint32_t>(from[0]) << 16 |
                          (count == 2 ? static_cast<uint32_t>(from[1]) << 8 : 0u);
    std::memcpy(to, kBase64Pairs.pairs[bits >> 12], 2);
    to[2] = count == 2 ? kBase64Pairs.pairs[bits & 4095][0] : '=';
    to[3] = '=';
    return to + 4;
}

}  // namespace

std::string_view NameOf(TransferEncoding encoding) {
    switch (encoding) {
        case TransferEncoding::k7bit: return "7bit";
        case TransferEncoding::kQuotedPrintable: return "quoted-printable";
        case TransferEncoding::kBase64: return "base64";
    }
    return "7bit";
}

TextShape ShapeOf(std::string_view text) {
    TextShape shape;
    bool is_plain = true;
    size_t escapes = 0;
    size_t octets = 0;
    std::string_view end;
    for (auto rest = text; !rest.empty();) {
        const auto line = TakeLine(rest, end);
        if (end.size() == 1) shape.is_crlf = false;
        if (line.size() > kMaxBodyLine) is_plain = false;
        escapes += CountEscapes(line, is_plain);
        octets += line.size() + (end.empty() ? 0 : 2);
    }
    if (!is_plain) {
        shape.encoding =
            escapes * 6 <= octets ? TransferEncoding::kQuotedPrintable : TransferEncoding::kBase64;
    }
    return shape;
}

std::string NormalizeLines(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 16 + 16);
    std::string_view end;
    for (auto rest = text; !rest.empty();) {
        out += TakeLine(rest, end);
        if (!end.empty()) out += "\r\n";
    }
    return out;
}

void AppendQuotedPrintable(std::string& out, std::string_view text) {
    std::string_view end;
    for (auto rest = text; !rest.empty();) {
        AppendQuotedLine(out, TakeLine(rest, end));
        if (!end.empty()) out += "\r\n";
    }
}

void AppendBase64Lines(std::string& out, std::string_view bytes) {
    constexpr size_t kLineBytes = kEncodedLine / 4 * 3;
    const size_t lines = (bytes.size() + kLineBytes - 1) / kLineBytes;
    const size_t start = out.size();
    out.resize(start + (bytes.size() + 2) / 3 * 4 + lines * 2);
    char* to = out.data() + start;
    for (size_t at = 0; at < bytes.size(); at += kLineBytes) {
        const auto line = bytes.substr(at, kLineBytes);
        to = PutBase64(to, reinterpret_cast<const uint8_t*>(line.data()), line.size());
        *to++ = '\r';
        *to++ = '\n';
    }
}

bool IsClean7bit(std::string_view bytes) {
    if (!base::IsAscii(bytes) || bytes.find('\0') != std::string_view::npos) return false;
    std::string_view end;
    while (!bytes.empty()) {
        const auto line = TakeLine(bytes, end);
        if (line.size() > kMaxBodyLine || end.size() == 1) return false;
    }
    return true;
}

}  // namespace opensend::mime
