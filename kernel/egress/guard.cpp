#include "kernel/egress/guard.h"

#include <algorithm>
#include <utility>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/egress/lists.h"
#include "kernel/egress/url.h"

namespace opensend::egress {
namespace {

constexpr size_t kMaxUrlCharacters = 2048;

base::Cidr ListedRange(std::string_view text) {
    const auto cidr = base::ParseCidr(text);
    OPENSEND_CHECK(cidr.has_value(), "the egress lists hold CIDR ranges");
    return *cidr;
}

/// The lists of egress_lists.h, read once.
struct Ranges {
    Ranges() {
        for (const auto& range : kDeniedRanges) denied.push_back(ListedRange(range.cidr));
        for (const auto range : kNeverExempt) never.push_back(ListedRange(range));
        for (const auto range : kLoopbackRanges) loopback.push_back(ListedRange(range));
    }
    std::vector<base::Cidr> denied, never, loopback;
    base::Cidr compatible = ListedRange(kCompatibleV6);
    base::Cidr global = ListedRange(kGlobalUnicastV6);
};

const Ranges& AllRanges() {
    static const Ranges ranges;
    return ranges;
}

bool InAny(const std::vector<base::Cidr>& ranges, const base::IpAddress& address) {
    return std::any_of(ranges.begin(), ranges.end(), [&](const base::Cidr& range) {
        return range.Contains(address);
    });
}

/// True when the operator's list opens this address.
bool IsExempt(const Rules& rules, const base::IpAddress& address) {
    const Ranges& ranges = AllRanges();
    if (InAny(ranges.never, address)) return false;
    if (InAny(ranges.loopback, address)) return rules.allow_loopback && InAny(rules.allow, address);
    if (ranges.compatible.Contains(address)) return false;
    return InAny(rules.allow, address);
}

bool IsBlockedName(std::string_view host) {
    if (host.find('.') == std::string_view::npos) return true;
    if (std::find(std::begin(kBlockedNames), std::end(kBlockedNames), host) !=
        std::end(kBlockedNames)) {
        return true;
    }
    return std::any_of(
        std::begin(kBlockedSuffixes), std::end(kBlockedSuffixes),
        [&](std::string_view suffix) { return host.ends_with(suffix); }
    );
}

template <class List>
bool HasPort(const List& list, int port) {
    return std::find(std::begin(list), std::end(list), port) != std::end(list);
}

/// What only a destination inside the allow list may break: scheme, name and port rules.
std::optional<Refusal> BreaksPublicRules(const Rules& rules, const Url& url) {
    if (rules.https_only && url.scheme != "https") {
        return Refusal{"blocked_protocol", "http is not allowed"};
    }
    if (!url.literal && IsBlockedName(url.host)) return Refusal{"blocked_hostname", url.host};
    if (!HasPort(rules.ports, url.port)) {
        return Refusal{"blocked_port", base::Cat("port ", url.port)};
    }
    return std::nullopt;
}

/// All rules once the addresses are known.
std::optional<Refusal> JudgeAddresses(
    const Rules& rules,
    const Guard& guard,
    const Url& url,
    const std::vector<base::IpAddress>& addresses
) {
    size_t exempt = 0;
    for (const auto& address : addresses) exempt += IsExempt(rules, address) ? 1U : 0U;
    if (exempt < addresses.size()) {
        if (auto refusal = BreaksPublicRules(rules, url)) return refusal;
    }
    for (const auto& address : addresses) {
        if (!guard.IsRefused(address)) continue;
        return Refusal{
            url.literal ? "private_ip_literal" : "private_ip_resolved", address.ToString()};
    }
    // A destination in the operator's own network may be this very process.
    if (exempt > 0 && (HasPort(kNeverPorts, url.port) || HasPort(rules.own_ports, url.port))) {
        return Refusal{"blocked_port", base::Cat("port ", url.port)};
    }
    return std::nullopt;
}

}  // namespace

Guard::Guard(Rules rules, ResolveAll resolve)
    : rules_(std::make_shared<const Rules>(std::move(rules))), resolve_(std::move(resolve)) {}

void Guard::SetRules(Rules rules) {
    auto next = std::make_shared<const Rules>(std::move(rules));
    rules_.With([&](auto& current) { current = std::move(next); });
}

std::shared_ptr<const Rules> Guard::Current() const {
    return rules_.With([](const auto& current) { return current; });
}

bool Guard::IsRefused(const base::IpAddress& address) const {
    if (IsExempt(*Current(), address)) return false;
    const Ranges& ranges = AllRanges();
    if (InAny(ranges.denied, address) || InAny(ranges.never, address)) return true;
    return address.is_v6 && !ranges.global.Contains(address);
}

base::Result<Url, Refusal> Guard::CheckUrl(std::string_view text) const {
    const auto rules = Current();
    auto url = ParseUrl(text);
    if (!url) return url;
    if (base::CountCodePoints(text) > kMaxUrlCharacters) {
        return base::Failure{
            Refusal{"invalid_url", "too long"}
        };
    }
    if (url->literal) {
        auto refusal = JudgeAddresses(*rules, *this, *url, {*url->literal});
        if (refusal) return base::Failure{std::move(*refusal)};
        return url;
    }
    // Addresses in the allow list may excuse the name, so only Check can say.
    if (!rules->allow.empty()) return url;
    if (auto refusal = BreaksPublicRules(*rules, *url)) return base::Failure{std::move(*refusal)};
    return url;
}

base::Result<Guard::Checked, Refusal> Guard::Check(std::string_view text) const {
    const auto rules = Current();
    auto url = CheckUrl(text);
    if (!url) return base::Failure{url.error()};
    if (url->literal) {
        std::vector<base::IpAddress> pinned{*url->literal};
        return Checked{std::move(*url), std::move(pinned)};
    }
    auto addresses = resolve_(url->host);
    if (!addresses || addresses->empty()) {
        if (auto refusal = BreaksPublicRules(*rules, *url)) {
            return base::Failure{std::move(*refusal)};
        }
        return base::Failure{
            Refusal{addresses ? "no_dns_records" : "dns_resolution_failed", url->host}
        };
    }
    auto refusal = JudgeAddresses(*rules, *this, *url, *addresses);
    if (refusal) return base::Failure{std::move(*refusal)};
    return Checked{std::move(*url), std::move(*addresses)};
}

}  // namespace opensend::egress
