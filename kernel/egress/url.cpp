#include "kernel/egress/url.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <idn2.h>

#include "kernel/base/cidr.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"

namespace opensend::egress {
namespace {

using UrlVerdict = base::Result<Url, Refusal>;

base::Failure<Refusal> RefuseUrl(std::string_view reason, std::string_view detail) {
    return base::Failure{
        Refusal{std::string(reason), std::string(detail)}
    };
}

bool IsUrlDigit(char c) { return c >= '0' && c <= '9'; }
bool IsUrlHexDigit(char c) {
    return IsUrlDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool IsUrlAlnum(char c) {
    return IsUrlDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string DecodeHost(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && IsUrlHexDigit(text[i + 1]) &&
            IsUrlHexDigit(text[i + 2])) {
            out += base::HexDecode(text.substr(i + 1, 2)).value_or("");
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

/// One part of a numeric host: decimal, octal with a leading 0, hexadecimal after 0x.
std::optional<uint64_t> ParseNumberPart(std::string_view part) {
    if (part.empty()) return std::nullopt;
    uint64_t radix = 10;
    if (base::StartsWithIgnoreCase(part, "0x")) {
        radix = 16;
        part.remove_prefix(2);
    } else if (part.size() >= 2 && part.front() == '0') {
        radix = 8;
        part.remove_prefix(1);
    }
    uint64_t value = 0;
    for (const char c : part) {
        if (!IsUrlHexDigit(c)) return std::nullopt;
        const auto digit =
            static_cast<uint64_t>(IsUrlDigit(c) ? c - '0' : (c >= 'a' ? c - 'a' : c - 'A') + 10);
        if (digit >= radix) return std::nullopt;
        // Kept small enough for the next digit; the range check comes later.
        value = std::min<uint64_t>(value * radix + digit, uint64_t{1} << 40);
    }
    return value;
}

/// A host whose last label is a number is an IPv4 address or nothing.
bool EndsInNumber(std::string_view host) {
    const size_t dot = host.rfind('.');
    const std::string_view last = dot == std::string_view::npos ? host : host.substr(dot + 1);
    if (last.empty()) return false;
    if (std::all_of(last.begin(), last.end(), IsUrlDigit)) return true;
    return base::StartsWithIgnoreCase(last, "0x") && ParseNumberPart(last).has_value();
}

std::optional<base::IpAddress> ParseNumericHost(std::string_view host) {
    const auto parts = base::Split(host, '.');
    if (parts.size() > 4) return std::nullopt;
    uint64_t address = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
        const auto value = ParseNumberPart(parts[i]);
        if (!value) return std::nullopt;
        const bool last = i + 1 == parts.size();
        const uint64_t limit = last ? uint64_t{1} << (8 * (4 - i)) : 256;
        if (*value >= limit) return std::nullopt;
        address += last ? *value : *value << (8 * (3 - i));
    }
    base::IpAddress ip;
    for (size_t i = 0; i < 4; ++i) {
        ip.bytes[i] = static_cast<uint8_t>((address >> (8 * (3 - i))) & 0xff);
    }
    return ip;
}

/// UTS 46 without transitional mapping; nullopt when a character or label is not allowed.
std::optional<std::string> MapHost(const std::string& host) {
    if (base::IsAscii(host)) return base::AsciiLower(host);
    char* mapped = nullptr;
    const int rc = idn2_to_ascii_8z(host.c_str(), &mapped, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    const std::unique_ptr<char, void (*)(void*)> owner(mapped, idn2_free);
    if (rc != IDN2_OK) return std::nullopt;
    return base::AsciiLower(mapped);
}

bool IsHostName(std::string_view host) {
    if (host.size() > 253) return false;
    for (const auto label : base::Split(host, '.')) {
        if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
            return false;
        }
        const bool plain = std::all_of(label.begin(), label.end(), [](char c) {
            return IsUrlAlnum(c) || c == '-' || c == '_';
        });
        if (!plain) return false;
    }
    return true;
}

/// Fills host and literal.
std::optional<Refusal> ReadHost(std::string_view text, Url& url) {
    const auto bad = [](std::string_view why) { return Refusal{"invalid_url", std::string(why)}; };
    if (text.empty()) return Refusal{"empty_host", "no host"};
    if (text.front() == '[') {
        if (text.size() < 2 || text.back() != ']') return bad("brackets do not match");
        url.literal = base::ParseIp(text.substr(1, text.size() - 2), true);
        if (!url.literal || !url.literal->is_v6) return bad("not an IPv6 address");
        url.host = url.literal->ToString();
        return std::nullopt;
    }
    const std::string decoded = DecodeHost(text);
    if (!base::IsUtf8(decoded) || decoded.find('\0') != std::string::npos) {
        return bad("host is not UTF-8 text");
    }
    auto mapped = MapHost(decoded);
    if (!mapped) return bad("host cannot be mapped to A-labels");
    if (!mapped->empty() && mapped->back() == '.') mapped->pop_back();
    if (mapped->empty()) return Refusal{"empty_host", "no host"};
    if (!IsHostName(*mapped)) return bad("not a host name");
    if (EndsInNumber(*mapped)) {
        url.literal = ParseNumericHost(*mapped);
        if (!url.literal) return bad("not an IPv4 address");
        url.host = url.literal->ToString();
        return std::nullopt;
    }
    url.host = std::move(*mapped);
    return std::nullopt;
}

std::optional<Refusal> ReadPort(std::string_view text, Url& url) {
    url.port = url.scheme == "https" ? 443 : 80;
    if (text.empty()) return std::nullopt;
    if (!std::all_of(text.begin(), text.end(), IsUrlDigit)) {
        return Refusal{"invalid_url", "port is not a number"};
    }
    text.remove_prefix(std::min(text.find_first_not_of('0'), text.size()));
    const auto number = text.empty() ? 0 : base::ParseInt(text).value_or(-1);
    if (number <= 0 || number > 65535) {
        return Refusal{"blocked_port", "port is out of range"};
    }
    url.port = static_cast<int>(number);
    return std::nullopt;
}

/// "." and ".." also when their dots are percent-encoded.
std::string DotForm(std::string_view segment) {
    return base::ReplaceAll(base::AsciiLower(segment), "%2e", ".");
}

std::string WithoutDotSegments(std::string_view path) {
    std::vector<std::string_view> kept;
    const auto segments = base::Split(path.substr(1), '/');
    for (size_t i = 0; i < segments.size(); ++i) {
        const bool last = i + 1 == segments.size();
        const std::string form = segments[i].size() <= 6 ? DotForm(segments[i]) : std::string();
        if (form == ".." && !kept.empty()) kept.pop_back();
        if (form == "." || form == "..") {
            if (last) kept.emplace_back();
            continue;
        }
        kept.push_back(segments[i]);
    }
    std::string out;
    for (const auto segment : kept) out += base::Cat('/', segment);
    return out.empty() ? "/" : out;
}

std::string EncodeTarget(std::string_view text, std::string_view unsafe) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > 0x20 && byte < 0x7f && unsafe.find(c) == std::string_view::npos) {
            out += c;
            continue;
        }
        out += '%';
        out += kHex[byte >> 4];
        out += kHex[byte & 0xf];
    }
    return out;
}

std::string ReadTarget(std::string_view text) {
    text = text.substr(0, text.find('#'));
    const size_t mark = text.find('?');
    const std::string path = base::Cat(text.starts_with('/') ? "" : "/", text.substr(0, mark));
    std::string out = EncodeTarget(WithoutDotSegments(path), "\"<>`{}^");
    if (mark != std::string_view::npos) {
        out += base::Cat('?', EncodeTarget(text.substr(mark + 1), "\"<>'"));
    }
    return out;
}

bool HasForbiddenCharacter(std::string_view url) {
    return base::HasControl(url) || url.find(' ') != std::string_view::npos ||
           url.find('\\') != std::string_view::npos;
}

std::string Assemble(const Url& url) {
    const int standard = url.scheme == "https" ? 443 : 80;
    const bool v6 = url.literal && url.literal->is_v6;
    const std::string host = v6 ? base::Cat('[', url.host, ']') : url.host;
    const std::string port = url.port == standard ? std::string() : base::Cat(':', url.port);
    return base::Cat(url.scheme, "://", host, port, url.target);
}

}  // namespace

UrlVerdict ParseUrl(std::string_view text) {
    if (text.size() > kMaxUrlBytes || !base::IsUtf8(text)) {
        return RefuseUrl("invalid_url", "too long or not UTF-8");
    }
    if (HasForbiddenCharacter(text)) {
        return RefuseUrl("invalid_url", "control character, space or backslash");
    }
    const size_t colon = text.find(':');
    const std::string_view scheme = text.substr(0, colon);
    const bool is_scheme = colon != std::string_view::npos && colon > 0 && !IsUrlDigit(scheme[0]) &&
                           std::all_of(scheme.begin(), scheme.end(), [](char c) {
                               return IsUrlAlnum(c) || c == '+' || c == '-' || c == '.';
                           });
    if (!is_scheme) return RefuseUrl("invalid_url", "no scheme");
    Url url;
    url.scheme = base::AsciiLower(scheme);
    if (url.scheme != "https" && url.scheme != "http") {
        return RefuseUrl("blocked_protocol", url.scheme);
    }
    text.remove_prefix(colon + 1);
    if (!text.starts_with("//")) return RefuseUrl("invalid_url", "no // after the scheme");
    text.remove_prefix(2);

    const size_t end = std::min(text.find_first_of("/?#"), text.size());
    std::string_view authority = text.substr(0, end);
    if (authority.find('@') != std::string_view::npos) {
        return RefuseUrl("credentials_in_url", "user information");
    }
    std::string_view port;
    const size_t bracket = authority.rfind(']');
    const size_t port_colon = authority.rfind(':');
    if (port_colon != std::string_view::npos &&
        (bracket == std::string_view::npos || port_colon > bracket)) {
        port = authority.substr(port_colon + 1);
        authority = authority.substr(0, port_colon);
    }
    if (auto refusal = ReadHost(authority, url)) return base::Failure{std::move(*refusal)};
    if (auto refusal = ReadPort(port, url)) return base::Failure{std::move(*refusal)};
    url.target = ReadTarget(text.substr(end));
    url.url = Assemble(url);
    return url;
}

}  // namespace opensend::egress
