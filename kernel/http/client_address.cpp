#include "kernel/http/client_address.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/text.h"

namespace opensend::http {
namespace {

bool IsTrusted(const base::IpAddress& address, const std::vector<base::Cidr>& trusted) {
    return std::any_of(trusted.begin(), trusted.end(), [&](const base::Cidr& range) {
        return range.Contains(address);
    });
}

bool IsPort(std::string_view text) {
    return !text.empty() && text.size() <= 5 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// An address with or without brackets and port.
std::optional<base::IpAddress> ParseNode(std::string_view text) {
    text = base::Trim(text);
    if (!text.empty() && text.front() == '[') {
        const size_t end = text.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        const auto rest = text.substr(end + 1);
        if (!rest.empty() && (rest.front() != ':' || !IsPort(rest.substr(1)))) return std::nullopt;
        return base::ParseIp(text.substr(1, end - 1));
    }
    const size_t colon = text.find(':');
    if (colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
        if (!IsPort(text.substr(colon + 1))) return std::nullopt;
        text = text.substr(0, colon);
    }
    return base::ParseIp(text);
}

/// Splits at `separator` outside of quoted strings.
std::vector<std::string_view> SplitOutsideQuotes(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    size_t begin = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.size(); ++i) {
        if (quoted && text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            quoted = !quoted;
        } else if (text[i] == separator && !quoted) {
            parts.push_back(text.substr(begin, i - begin));
            begin = i + 1;
        }
    }
    parts.push_back(text.substr(begin));
    return parts;
}

/// The node of one Forwarded element; an empty text when it names none.
std::string_view ForwardedFor(std::string_view element) {
    for (auto pair : SplitOutsideQuotes(element, ';')) {
        pair = base::Trim(pair);
        if (!base::StartsWithIgnoreCase(pair, "for=")) continue;
        pair.remove_prefix(4);
        if (pair.size() >= 2 && pair.front() == '"' && pair.back() == '"') {
            pair = pair.substr(1, pair.size() - 2);
        }
        return pair;
    }
    return {};
}

base::IpAddress WalkChain(
    const base::IpAddress& peer,
    const std::vector<std::string_view>& chain,
    const std::vector<base::Cidr>& trusted
) {
    base::IpAddress last = peer;
    for (auto entry = chain.rbegin(); entry != chain.rend(); ++entry) {
        const auto address = ParseNode(*entry);
        if (!address) break;
        last = *address;
        if (!IsTrusted(last, trusted)) break;
    }
    return last;
}

}  // namespace

base::IpAddress ClientAddress(
    const base::IpAddress& peer, const Headers& headers, const std::vector<base::Cidr>& trusted
) {
    if (!IsTrusted(peer, trusted)) return peer;
    if (headers.Find("X-Forwarded-For")) {
        const std::string chain = headers.Joined("X-Forwarded-For");
        return WalkChain(peer, base::Split(chain, ','), trusted);
    }
    if (headers.Find("Forwarded")) {
        const std::string joined = headers.Joined("Forwarded");
        auto chain = SplitOutsideQuotes(joined, ',');
        for (auto& element : chain) element = ForwardedFor(element);
        return WalkChain(peer, chain, trusted);
    }
    if (headers.Count("X-Real-IP") == 1) {
        if (const auto address = ParseNode(*headers.Find("X-Real-IP"))) return *address;
    }
    return peer;
}

}  // namespace opensend::http
