#include "kernel/mime/address.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/mime/idna.h"

namespace opensend::mime {

namespace {

constexpr size_t kMaxMailboxText = 4096;
constexpr size_t kMaxLocal = 64;
constexpr size_t kMaxDisplayName = 255;

base::Failure<AddressError> Refused(std::string_view message = "Not an email address.") {
    return base::Failure{AddressError{std::string(message)}};
}

bool IsLocalText(char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    if ((static_cast<uint8_t>(c) & 0x80) != 0) return true;
    return std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

bool IsDotAtom(std::string_view text) {
    bool after_dot = true;
    for (const char c : text) {
        if (c == '.') {
            if (after_dot) return false;
            after_dot = true;
        } else {
            if (!IsLocalText(c)) return false;
            after_dot = false;
        }
    }
    return !after_dot;
}

/// C0, DEL, C1 and the two Unicode line ends.
bool HasForbiddenCharacter(std::string_view text) {
    if (base::HasControl(text)) return true;
    if (base::IsAscii(text)) return false;
    for (size_t at = 0; at < text.size();) {
        const uint32_t point = base::NextCodePoint(text, at);
        if ((point >= 0x80 && point < 0xA0) || point == 0x2028 || point == 0x2029) return true;
    }
    return false;
}

/// The decoded quoted string at the start of `text`, which moves behind it.
std::optional<std::string> TakeQuoted(std::string_view& text) {
    std::string decoded;
    for (size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '"') {
            text.remove_prefix(i + 1);
            return decoded;
        }
        if (text[i] == '\\' && ++i == text.size()) break;
        decoded += text[i];
    }
    return std::nullopt;
}

std::string QuotedLocal(std::string_view decoded) {
    if (IsDotAtom(decoded)) return std::string(decoded);
    std::string out = "\"";
    for (const char c : decoded) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
    return out;
}

/// addr-spec of normalised text; fills local and domain.
bool ReadAddrSpec(std::string_view text, Mailbox& mailbox) {
    if (!text.empty() && text.front() == '"') {
        const auto decoded = TakeQuoted(text);
        if (!decoded || decoded->empty()) return false;
        mailbox.local = QuotedLocal(ToNfc(*decoded));
    } else {
        const auto at = text.find('@');
        if (at == std::string_view::npos || !IsDotAtom(text.substr(0, at))) return false;
        mailbox.local = std::string(text.substr(0, at));
        text.remove_prefix(at);
    }
    if (mailbox.local.size() > kMaxLocal || text.empty() || text.front() != '@') return false;
    auto domain = ToALabel(text.substr(1));
    if (!domain) return false;
    mailbox.domain = std::move(*domain);
    return true;
}

/// The decoded display name before "<"; `text` moves to the "<". nullopt: not a display name.
std::optional<std::string> TakeDisplayName(std::string_view& text) {
    if (!text.empty() && text.front() == '"') {
        auto name = TakeQuoted(text);
        const auto open = text.find_first_not_of(' ');
        if (!name || open == std::string_view::npos || text[open] != '<') return std::nullopt;
        text.remove_prefix(open);
        return name;
    }
    const auto open = text.find('<');
    if (open == std::string_view::npos) return std::nullopt;
    const auto name = base::Trim(text.substr(0, open));
    if (name.find_first_of(">\"\\") != std::string_view::npos) return std::nullopt;
    // With an address in it, a separator would make this a list of two.
    if (name.find('@') != std::string_view::npos &&
        name.find_first_of(",;") != std::string_view::npos) {
        return std::nullopt;
    }
    text.remove_prefix(open);
    return std::string(name);
}

/// Trimmed and normalised; nullopt for bytes no mailbox may hold.
std::optional<std::string> Prepare(std::string_view text) {
    const auto trimmed = base::Trim(text);
    if (trimmed.empty() || trimmed.size() > kMaxMailboxText || !base::IsUtf8(trimmed)) {
        return std::nullopt;
    }
    std::string prepared = base::IsAscii(trimmed) ? std::string(trimmed) : ToNfc(trimmed);
    if (HasForbiddenCharacter(prepared)) return std::nullopt;
    return prepared;
}

}  // namespace

std::string Mailbox::Key() const { return base::Cat(base::AsciiLower(local), "@", domain); }

bool Mailbox::NeedsSmtpUtf8() const { return !base::IsAscii(local); }

base::Result<Mailbox, AddressError> ParseMailbox(std::string_view text) {
    auto prepared = Prepare(text);
    if (!prepared) return Refused();
    Mailbox mailbox;
    if (prepared->back() != '>') {
        if (!ReadAddrSpec(*prepared, mailbox)) return Refused();
    } else {
        std::string_view rest = *prepared;
        auto name = TakeDisplayName(rest);
        if (!name) return Refused();
        if (!ReadAddrSpec(rest.substr(1, rest.size() - 2), mailbox)) return Refused();
        mailbox.display_name = base::IsAscii(*name) ? std::move(*name) : ToNfc(*name);
        if (base::CountCodePoints(mailbox.display_name) > kMaxDisplayName) {
            return Refused("The display name is longer than 255 characters.");
        }
    }
    mailbox.text = std::move(*prepared);
    return mailbox;
}

base::Result<Mailbox, AddressError> ParseAddress(std::string_view text) {
    auto prepared = Prepare(text);
    Mailbox mailbox;
    if (!prepared || !ReadAddrSpec(*prepared, mailbox)) return Refused();
    mailbox.text = std::move(*prepared);
    return mailbox;
}

}  // namespace opensend::mime
