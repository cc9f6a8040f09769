#include <algorithm>
#include <array>
#include <cstdint>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/mime/wire_format.h"

namespace opensend::mime {

namespace {

constexpr size_t kFoldColumn = 78;
constexpr size_t kMaxHeaderLine = 998;
constexpr size_t kEncodedWordLine = 76;
constexpr size_t kMaxEncodedWord = 75;
constexpr std::string_view kQStart = "=?UTF-8?Q?";
constexpr std::string_view kBStart = "=?UTF-8?B?";
constexpr size_t kWordFrame = 12;  // start and "?="
// A quoted string is not folded inside; longer names travel as encoded words.
constexpr size_t kMaxQuotedName = 70;
constexpr std::string_view kHeaderHex = "0123456789ABCDEF";

bool IsAlnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
/// Safe in an encoded word wherever it stands, phrases included.
bool IsQSafe(char c) {
    return IsAlnum(c) || c == '!' || c == '*' || c == '+' || c == '-' || c == '/';
}
bool IsAtomText(char c) {
    return IsAlnum(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}
/// Needs no percent sign in an RFC 2231 value.
bool IsAttributeText(char c) {
    return IsAlnum(c) || std::string_view("!#$&+-.^_`|~").find(c) != std::string_view::npos;
}
bool IsBlank(char c) { return c == ' ' || c == '\t'; }

void CheckValue(std::string_view value) {
    const bool is_one_line = value.find('\r') == std::string_view::npos &&
                             value.find('\n') == std::string_view::npos &&
                             value.find('\0') == std::string_view::npos;
    OPENSEND_CHECK(is_one_line, "a header value holds CR, LF or NUL");
}

/// The longest word with the blanks before it: what no fold can divide.
size_t LongestPiece(std::string_view value) {
    size_t longest = 0;
    size_t run = 0;
    bool in_word = false;
    for (const char c : value) {
        if (in_word && IsBlank(c)) run = 0;
        in_word = !IsBlank(c);
        longest = std::max(longest, ++run);
    }
    return longest;
}

bool FitsUnencoded(std::string_view value, bool utf8) {
    if (base::HasControl(value, true)) return false;
    if (!base::IsAscii(value) && !(utf8 && base::IsUtf8(value))) return false;
    // The first word shares its line with the field's name.
    return LongestPiece(value) <= kMaxHeaderLine - 100;
}

/// Free text that reads back as itself without encoding.
bool IsPlainText(std::string_view value, bool utf8) {
    if (value.empty()) return true;
    if (IsBlank(value.front()) || IsBlank(value.back())) return false;
    // A reader may take a run of blanks at a fold for one; it must be kept.
    const auto is_blank_run = [](char a, char b) { return IsBlank(a) && IsBlank(b); };
    if (std::adjacent_find(value.begin(), value.end(), is_blank_run) != value.end()) return false;
    if (value.find('\t') != std::string_view::npos) return false;
    return value.find("=?") == std::string_view::npos && FitsUnencoded(value, utf8);
}

bool IsPlainPhrase(std::string_view name, bool utf8) {
    if (name.empty() || name.front() == ' ' || name.back() == ' ') return false;
    if (name.find("  ") != std::string_view::npos || name.find("=?") != std::string_view::npos) {
        return false;
    }
    return std::all_of(name.begin(), name.end(), [&](char c) {
        return IsAtomText(c) || c == ' ' || (utf8 && (static_cast<uint8_t>(c) & 0x80) != 0);
    });
}

std::string Quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
    return out;
}

size_t QWidth(std::string_view bytes) {
    size_t width = 0;
    for (const char c : bytes) width += IsQSafe(c) || c == ' ' ? 1u : 3u;
    return width;
}

void AppendQ(std::string& out, std::string_view bytes) {
    for (const char c : bytes) {
        if (IsQSafe(c)) {
            out += c;
        } else if (c == ' ') {
            out += '_';
        } else {
            const auto byte = static_cast<uint8_t>(c);
            out += '=';
            out += kHeaderHex[byte >> 4];
            out += kHeaderHex[byte & 15];
        }
    }
}

void AppendPercent(std::string& out, std::string_view bytes) {
    for (const char c : bytes) {
        if (IsAttributeText(c)) {
            out += c;
            continue;
        }
        const auto byte = static_cast<uint8_t>(c);
        out += '%';
        out += kHeaderHex[byte >> 4];
        out += kHeaderHex[byte & 15];
    }
}

/// The bytes of the code point at `at`.
std::string_view CodePointAt(std::string_view text, size_t at) {
    size_t next = at;
    base::NextCodePoint(text, next);
    return text.substr(at, next - at);
}

struct EncodedPiece {
    size_t length = 0;
    bool is_q = false;
};

/// The whole code points at the start of `rest` that fill one encoded word of `room` characters.
EncodedPiece NextPiece(std::string_view rest, size_t room, bool use_q) {
    const size_t max_bytes = room / 4 * 3;
    if (!use_q) {
        if (rest.size() <= max_bytes) return {rest.size(), false};
        // Some readers join neighbouring base64 words and stop at padding: cut where none is
        // needed.
        size_t cut = 0;
        for (size_t at = 0; at <= max_bytes; base::NextCodePoint(rest, at)) {
            if (at % 3 == 0) cut = at;
        }
        if (cut * 2 > max_bytes) return {cut, false};
    }
    size_t at = 0;
    size_t width = 0;
    while (at < rest.size()) {
        const auto point = CodePointAt(rest, at);
        width += QWidth(point);
        if (width > room) break;
        at += point.size();
    }
    return {at, true};
}

}  // namespace

void HeaderWriter::Put(std::string_view piece) {
    out_ += piece;
    column_ += piece.size();
}

void HeaderWriter::Fold() {
    out_ += "\r\n";
    column_ = 0;
}

void HeaderWriter::Name(std::string_view name) {
    const bool is_name = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return c > ' ' && c < 127 && c != ':';
    });
    OPENSEND_CHECK(is_name, "not a header field name");
    column_ = 0;
    Put(name);
    Put(":");
}

void HeaderWriter::End() { Fold(); }

/// Words with the blanks before them; a fold stands before the blanks, so nothing is lost.
void HeaderWriter::Words(std::string_view value) {
    if (column_ + value.size() < kFoldColumn) {
        Put(" ");
        Put(value);
        return;
    }
    Put(" ");
    size_t at = 0;
    while (at < value.size()) {
        size_t end = at;
        while (end < value.size() && IsBlank(value[end])) ++end;
        while (end < value.size() && !IsBlank(value[end])) ++end;
        const auto piece = value.substr(at, end - at);
        if (at > 0 && column_ + piece.size() > kFoldColumn) Fold();
        Put(piece);
        at = end;
    }
}

void HeaderWriter::EncodedWords(std::string_view value) {
    const bool use_q = QWidth(value) <= (value.size() + 2) / 3 * 4;
    bool is_first = true;
    for (size_t at = 0; at < value.size() || is_first;) {
        // The first word shares the line with what stands there when a few characters fit.
        if (!is_first || column_ + 1 + kWordFrame + 16 > kEncodedWordLine) Fold();
        is_first = false;
        const size_t room = std::min(kMaxEncodedWord, kEncodedWordLine - column_ - 1) - kWordFrame;
        const EncodedPiece piece = NextPiece(value.substr(at), room, use_q);
        const auto bytes = value.substr(at, piece.length);
        at += piece.length;
        std::string word(piece.is_q ? kQStart : kBStart);
        if (piece.is_q) {
            AppendQ(word, bytes);
        } else {
            word += base::Base64Encode(bytes);
        }
        word += "?=";
        Put(" ");
        Put(word);
    }
}

void HeaderWriter::Text(std::string_view name, std::string_view value) {
    CheckValue(value);
    Name(name);
    if (IsPlainText(value, utf8_)) {
        if (!value.empty()) Words(value);
    } else {
        EncodedWords(value);
    }
    End();
}

void HeaderWriter::Structured(std::string_view name, std::string_view value) {
    CheckValue(value);
    Name(name);
    const auto trimmed = base::Trim(value);
    if (FitsUnencoded(trimmed, utf8_)) {
        if (!trimmed.empty()) Words(trimmed);
    } else {
        EncodedWords(trimmed);
    }
    End();
}

void HeaderWriter::OneMailbox(const Mailbox& mailbox, bool is_last) {
    const std::string& name = mailbox.display_name;
    const std::string address = mailbox.Address();
    const std::string_view comma = is_last ? "" : ",";
    CheckValue(name);
    CheckValue(address);
    if (!utf8_ && !base::IsAscii(address)) {
        // No ASCII spelling exists: an empty group shows the address without naming a mailbox.
        EncodedWords(name.empty() ? address : base::Cat(name, " <", address, ">"));
        Put(base::Cat(" :;", comma));
        return;
    }
    if (name.empty()) {
        const std::string piece = base::Cat(" ", address, comma);
        if (column_ + piece.size() > kFoldColumn && column_ > 24) Fold();
        Put(piece);
        return;
    }
    const std::string target = base::Cat(" <", address, ">", comma);
    std::string phrase;
    if (name.size() <= kMaxQuotedName && FitsUnencoded(name, utf8_) &&
        name.find("=?") == std::string::npos && name.find('\t') == std::string::npos) {
        phrase = IsPlainPhrase(name, utf8_) ? name : Quoted(name);
    }
    if (phrase.empty()) {
        EncodedWords(name);
        if (column_ + target.size() > kEncodedWordLine) Fold();
    } else {
        if (column_ + 1 + phrase.size() > kFoldColumn && column_ > 24) Fold();
        Put(" ");
        Put(phrase);
        if (column_ + target.size() > kFoldColumn) Fold();
    }
    Put(target);
}

void HeaderWriter::Addresses(std::string_view name, const std::vector<Mailbox>& mailboxes) {
    if (mailboxes.empty()) return;
    Name(name);
    for (size_t i = 0; i < mailboxes.size(); ++i) {
        OneMailbox(mailboxes[i], i + 1 == mailboxes.size());
    }
    End();
}

void HeaderWriter::Address(std::string_view name, const Mailbox& mailbox) {
    Name(name);
    OneMailbox(mailbox, true);
    End();
}

void HeaderWriter::Begin(std::string_view name, std::string_view value) {
    CheckValue(value);
    Name(name);
    Words(value);
}

void HeaderWriter::Parameter(std::string_view name, std::string_view value) {
    CheckValue(value);
    const auto put = [&](std::string_view text) {
        Put(";");
        if (column_ + 2 + text.size() > kFoldColumn) Fold();
        Put(" ");
        Put(text);
    };
    const bool is_simple = base::IsAscii(value) && !base::HasControl(value) &&
                           value.find_first_of("\"\\") == std::string_view::npos &&
                           value.find("=?") == std::string_view::npos;
    if (is_simple && name.size() + value.size() + 3 <= kEncodedWordLine - 2) {
        const bool is_token = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
            return IsAttributeText(c);
        });
        put(is_token ? base::Cat(name, "=", value) : base::Cat(name, "=", Quoted(value)));
        return;
    }
    std::string encoded;
    AppendPercent(encoded, value);
    if (name.size() + encoded.size() + 9 <= kEncodedWordLine) {
        put(base::Cat(name, "*=UTF-8''", encoded));
        return;
    }
    size_t at = 0;
    for (int section = 0; at < encoded.size(); ++section) {
        std::string piece = base::Cat(name, "*", section, "*=", section == 0 ? "UTF-8''" : "");
        size_t length = std::min(kEncodedWordLine - 2 - piece.size(), encoded.size() - at);
        // A percent triplet stays whole.
        const size_t cut = at + length;
        if (cut < encoded.size()) {
            if (encoded[cut - 1] == '%')
                length -= 1;
            else if (encoded[cut - 2] == '%')
                length -= 2;
        }
        piece += encoded.substr(at, length);
        put(piece);
        at += length;
    }
}

}  // namespace opensend::mime
