#include "kernel/runtime/settings/url.h"

#include <algorithm>

#include "kernel/base/cidr.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"

namespace opensend::runtime {
namespace {

bool IsAlnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::optional<std::string> PercentDecode(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const auto byte = base::HexDecode(text.substr(i + 1, 2));
        if (!byte || byte->size() != 1) return std::nullopt;
        out += *byte;
        i += 2;
    }
    if (!base::IsUtf8(out) || base::HasControl(out)) return std::nullopt;
    return out;
}

bool IsScheme(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return IsAlnum(c) || c == '-' || c == '_' || c == '+' || c == '.';
    });
}

bool ReadUserinfo(std::string_view text, ConfigUrl& url) {
    url.has_userinfo = true;
    const size_t colon = text.find(':');
    const auto user = PercentDecode(text.substr(0, colon));
    if (!user) return false;
    url.user = *user;
    if (colon == std::string_view::npos) return true;
    const auto password = PercentDecode(text.substr(colon + 1));
    if (password) url.password = *password;
    return password.has_value();
}

/// What is wrong with host and port; empty: nothing.
std::string ReadHostPort(std::string_view text, ConfigUrl& url) {
    std::string_view rest;
    if (!text.empty() && text.front() == '[') {
        const size_t end = text.find(']');
        if (end == std::string_view::npos) return "the bracket of the host is not closed";
        const auto ip = base::ParseIp(text.substr(1, end - 1), true);
        if (!ip || !ip->is_v6) return "the text in brackets is no IPv6 address";
        url.host = ip->ToString();
        rest = text.substr(end + 1);
    } else {
        const size_t colon = text.find(':');
        const auto host = text.substr(0, colon);
        const bool good = std::all_of(host.begin(), host.end(), [](char c) {
            return IsAlnum(c) || c == '-' || c == '.' || c == '_';
        });
        if (!good || host.size() > 253) return "the host has a character that no host name has";
        url.host = base::AsciiLower(host);
        rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    }
    if (rest.empty()) return {};
    const auto port = rest.front() == ':' ? base::ParseInt(rest.substr(1)) : std::nullopt;
    if (!port || *port < 1 || *port > 65535) return "the port is not 1 to 65535";
    url.port = static_cast<int>(*port);
    return {};
}

bool ReadQuery(std::string_view text, ConfigUrl& url) {
    url.has_query = true;
    for (const auto pair : base::Split(text, '&')) {
        if (pair.empty()) continue;
        const size_t equals = pair.find('=');
        const auto name = PercentDecode(pair.substr(0, equals));
        const auto value = PercentDecode(
            equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1)
        );
        if (!name || name->empty() || !value) return false;
        url.query.emplace_back(*name, *value);
    }
    return true;
}

bool IsIn(const base::IpAddress& ip, std::initializer_list<std::string_view> ranges) {
    return std::any_of(ranges.begin(), ranges.end(), [&ip](std::string_view range) {
        const auto cidr = base::ParseCidr(range);
        return cidr && cidr->Contains(ip);
    });
}

}  // namespace

std::optional<std::string> ConfigUrl::Parameter(std::string_view name) const {
    for (const auto& [key, value] : query) {
        if (key == name) return value;
    }
    return std::nullopt;
}

base::Result<ConfigUrl, std::string> ParseConfigUrl(std::string_view text, bool many_hosts) {
    const auto fail = [](std::string reason) { return base::Failure{std::move(reason)}; };
    if (text.size() > 8192) return fail("longer than 8192 characters");
    if (text.find_first_of(" \\\"<>^`{|}") != std::string_view::npos || base::HasControl(text)) {
        return fail("holds a character that must be percent-encoded");
    }
    const size_t colon = text.find("://");
    if (colon == std::string_view::npos || !IsScheme(text.substr(0, colon))) {
        return fail("no scheme followed by ://");
    }
    ConfigUrl url;
    url.scheme = base::AsciiLower(text.substr(0, colon));
    text.remove_prefix(colon + 3);
    if (const size_t hash = text.find('#'); hash != std::string_view::npos) {
        url.has_fragment = true;
        text = text.substr(0, hash);
    }
    if (const size_t mark = text.find('?'); mark != std::string_view::npos) {
        if (!ReadQuery(text.substr(mark + 1), url)) return fail("bad escape in the query");
        text = text.substr(0, mark);
    }
    auto authority = text.substr(0, text.find('/'));
    const auto path = PercentDecode(text.substr(authority.size()));
    if (!path) return fail("bad escape in the path");
    url.path = *path;
    if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
        if (authority.find('@') != at) return fail("an @ in user or password is written as %40");
        if (!ReadUserinfo(authority.substr(0, at), url)) return fail("bad escape in the user part");
        authority.remove_prefix(at + 1);
    }
    url.authority = std::string(authority);
    if (!many_hosts) {
        if (auto problem = ReadHostPort(authority, url); !problem.empty()) return fail(problem);
    }
    return url;
}

bool IsLocalHost(std::string_view host) {
    const std::string name = base::AsciiLower(host);
    constexpr std::string_view kSuffix = ".localhost";
    if (name == "localhost") return true;
    if (name.size() > kSuffix.size() && name.ends_with(kSuffix)) return true;
    const auto ip = base::ParseIp(name, true);
    return ip && IsIn(*ip, {"127.0.0.0/8", "::1"});
}

bool IsPrivateHost(std::string_view host) {
    if (IsLocalHost(host)) return true;
    if (const auto ip = base::ParseIp(host)) {
        return IsIn(
            *ip, {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7"}
        );
    }
    return !host.empty() && host.find_first_of(".:") == std::string_view::npos;
}

bool IsHostName(std::string_view host) {
    if (host.empty() || host.size() > 253 || base::ParseIp(host)) return false;
    for (const auto label : base::Split(host, '.')) {
        if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
            return false;
        }
        if (!std::all_of(label.begin(), label.end(), [](char c) { return IsAlnum(c) || c == '-'; }))
            return false;
    }
    return true;
}

}  // namespace opensend::runtime
