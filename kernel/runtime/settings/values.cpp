#include "kernel/runtime/settings/values.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernel/base/cidr.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/runtime/answer_rule.h"
#include "kernel/runtime/settings/url.h"

namespace opensend::runtime {
namespace {

using Unit = std::pair<std::string_view, int64_t>;
constexpr std::array<Unit, 5> kSpanUnits = {
    {{"ms", 1000},
     {"s", 1'000'000},
     {"m", 60'000'000},
     {"h", 3'600'000'000},
     {"d", 86'400'000'000}}
};
constexpr std::array<Unit, 4> kSizeUnits = {
    {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}
};
constexpr std::array<Unit, 5> kRateUnits = {
    {{"s", 1'000'000},
     {"min", 60'000'000},
     {"m", 60'000'000},
     {"h", 3'600'000'000},
     {"d", 86'400'000'000}}
};

template <size_t N>
std::optional<int64_t> WithUnit(std::string_view text, const std::array<Unit, N>& units) {
    const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0 || digits > 15) return std::nullopt;
    const auto number = base::ParseInt(text.substr(0, digits));
    const auto unit = base::Trim(text.substr(digits));
    for (const auto& [name, factor] : units) {
        if (unit != name) continue;
        if (!number || *number > INT64_MAX / 4 / factor) return std::nullopt;
        return *number * factor;
    }
    return std::nullopt;
}

ValueProblem BadFormat(std::string text) { return {"bad_format", std::move(text)}; }

std::optional<ValueProblem> CheckRange(
    std::string_view rule,
    std::optional<int64_t> value,
    std::optional<int64_t> (*parse)(std::string_view),
    std::string_view what
) {
    const size_t dots = rule.find("..");
    if (!value) return BadFormat(base::Cat(what, rule.empty() ? "" : ", ", rule));
    if (dots == std::string_view::npos) return std::nullopt;
    const auto low = parse(rule.substr(0, dots)), high = parse(rule.substr(dots + 2));
    if (*value >= low.value_or(0) && *value <= high.value_or(INT64_MAX)) return std::nullopt;
    return BadFormat(base::Cat("between ", rule.substr(0, dots), " and ", rule.substr(dots + 2)));
}

std::optional<int64_t> SpanNumber(std::string_view text) {
    const auto span = ParseSpan(text);
    return span ? std::optional<int64_t>(span->count()) : std::nullopt;
}

std::optional<ValueProblem> CheckChoice(std::string_view rule, std::string_view value) {
    std::vector<std::string> choices;
    for (const auto choice : base::Split(rule, '|')) {
        if (choice == value) return std::nullopt;
        choices.emplace_back(choice);
    }
    return ValueProblem{
        "unknown_value", base::Cat("\"", value, "\" is not one of ", base::Join(choices, ", "))};
}

bool IsEndpoint(std::string_view text, bool port_needed) {
    if (base::ParseIp(text)) return !port_needed;
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return false;
    auto host = text.substr(0, colon);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    const auto ip = base::ParseIp(host);
    const auto port = base::ParseInt(text.substr(colon + 1));
    return ip && ip->is_v6 == bracketed && port && *port >= 1 && *port <= 65535;
}

std::optional<ValueProblem> CheckWebUrl(std::string_view value, bool origin, bool https_only) {
    const auto url = ParseConfigUrl(value);
    if (!url) return ValueProblem{"bad_url", url.error()};
    if (url->scheme != "https" && (https_only || url->scheme != "http")) {
        return ValueProblem{"bad_url", https_only ? "only https" : "only http or https"};
    }
    if (url->host.empty()) return ValueProblem{"bad_url", "no host"};
    if (url->has_userinfo) return ValueProblem{"bad_url", "no user or password is allowed"};
    if (url->has_fragment) return ValueProblem{"bad_url", "no fragment is allowed"};
    if (origin && (url->has_query || (!url->path.empty() && url->path != "/"))) {
        return ValueProblem{"bad_url", "no path or query is allowed"};
    }
    return std::nullopt;
}

struct NamedRule {
    std::string_view name;
    std::string_view expected;
    bool (*holds)(std::string_view);
};
constexpr NamedRule kNamedRules[] = {
    {"ip",       "an IP address",                       [](std::string_view v) { return base::ParseIp(v).has_value(); }},
    {"cidr",     "an address range such as 10.0.0.0/8",
     [](std::string_view v) { return base::ParseCidr(v).has_value(); }                                                 },
    {"host",     "a host name",                         IsHostName                                                     },
    {"name",     "lower-case letters, digits, _ and -", IsConfigName                                                   },
    {"endpoint", "address:port",                        [](std::string_view v) { return IsEndpoint(v, true); }         },
    {"server",   "an IP address, or address:port",
     [](std::string_view v) { return IsEndpoint(v, false); }                                                           },
    {"port",     "a port, 1 to 65535",
     [](std::string_view v) {
         const auto port = base::ParseInt(v);
         return port && *port >= 1 && *port <= 65535;
     }                                                                                                                 },
    {"arn",      "an ARN of a topic",
     [](std::string_view v) { return v.starts_with("arn:aws") && v.find(":sns:") != v.npos; }                          },
    {"rate",     "a rate such as 50/s or 10/min",
     [](std::string_view v) { return ParseRate(v).has_value(); }                                                       },
    {"member",   "name:weight:priority",
     [](std::string_view v) { return ParseMember(v).has_value(); }                                                     },
    {"stream",   "transactional or bulk",
     [](std::string_view v) { return v == "transactional" || v == "bulk"; }                                            },
    {"contact",  "mailto: or https:",
     [](std::string_view v) { return v.starts_with("mailto:") || v.starts_with("https://"); }                          },
    {"max50",    "at most 50 characters",
     [](std::string_view v) { return base::CountCodePoints(v) <= 50; }                                                 },
    {"ed25519",  "ed25519: and 44 base64 characters",
     [](std::string_view v) {
         const auto key =
             v.starts_with("ed25519:") ? base::Base64Decode(v.substr(8)) : std::nullopt;
         return key && key->size() == 32;
     }                                                                                                                 },
    {"sha256",   "64 hexadecimal characters",
     [](std::string_view v) {
         return v.size() == 64 &&
                v.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
     }                                                                                                                 },
};

std::optional<ValueProblem> CheckNamed(std::string_view rule, std::string_view value) {
    if (rule == "app_url" || rule == "origin") return CheckWebUrl(value, true, false);
    if (rule == "http_url") return CheckWebUrl(value, false, false);
    if (rule == "https_url") return CheckWebUrl(value, false, true);
    if (rule == "answer") {
        const auto parsed = ParseAnswerRule(value);
        return parsed.ok() ? std::nullopt : std::optional(BadFormat(parsed.error()));
    }
    for (const auto& named : kNamedRules) {
        if (named.name != rule) continue;
        if (named.holds(value)) return std::nullopt;
        return BadFormat(base::Cat("must be ", named.expected));
    }
    return std::nullopt;  // checked where the whole configuration is known
}

}  // namespace

std::optional<bool> ParseBool(std::string_view text) {
    const std::string word = base::AsciiLower(text);
    for (const char* yes : {"true", "1", "yes", "on"}) {
        if (word == yes) return true;
    }
    for (const char* no : {"false", "0", "no", "off"}) {
        if (word == no) return false;
    }
    return std::nullopt;
}

std::optional<base::Duration> ParseSpan(std::string_view text) {
    const auto us = WithUnit(text, kSpanUnits);
    return us ? std::optional(base::Duration(*us)) : std::nullopt;
}

std::optional<int64_t> ParseSize(std::string_view text) { return WithUnit(text, kSizeUnits); }

std::optional<RateText> ParseRate(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto count = base::ParseInt(base::Trim(text.substr(0, slash)));
    if (!count || *count < 1 || *count > 1'000'000) return std::nullopt;
    const auto unit = base::Trim(text.substr(slash + 1));
    for (const auto& [name, us] : kRateUnits) {
        if (unit == name) return RateText{static_cast<uint64_t>(*count), static_cast<uint64_t>(us)};
    }
    return std::nullopt;
}

std::optional<MemberText> ParseMember(std::string_view text) {
    const auto parts = base::Split(text, ':');
    MemberText member;
    member.transport = std::string(parts[0]);
    if (parts.size() > 3 || !IsConfigName(parts[0])) return std::nullopt;
    const auto read = [&parts](size_t at, int high, int& into) {
        if (parts.size() <= at) return true;
        const auto number = base::ParseInt(parts[at]);
        if (!number || *number < 1 || *number > high) return false;
        into = static_cast<int>(*number);
        return true;
    };
    if (!read(1, 10000, member.weight) || !read(2, 100, member.priority)) return std::nullopt;
    return member;
}

bool IsConfigName(std::string_view text) {
    return !text.empty() && text.size() <= 64 &&
           text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == text.npos;
}

std::optional<ValueProblem> CheckValue(const Setting& setting, std::string_view value) {
    const auto rule = setting.rule;
    switch (setting.type) {
        case SettingType::kText: return CheckNamed(rule, value);
        case SettingType::kInt:
            return CheckRange(rule, base::ParseInt(value), base::ParseInt, "a whole number");
        case SettingType::kBool:
            return ParseBool(value) ? std::nullopt
                                    : std::optional(BadFormat("must be true or false"));
        case SettingType::kSpan:
            return CheckRange(
                rule, SpanNumber(value), SpanNumber, "a number with ms, s, m, h or d"
            );
        case SettingType::kSize:
            return CheckRange(
                rule, ParseSize(value), ParseSize, "a number of bytes, or one with KiB, MiB or GiB"
            );
        case SettingType::kChoice: return CheckChoice(rule, value);
        case SettingType::kList: break;
    }
    const auto parts = base::SplitList(value);
    if (parts.size() > 1000) return BadFormat("at most 1000 entries");
    for (const auto& part : parts) {
        if (auto problem = CheckNamed(rule, part)) {
            problem->text = base::Cat("\"", part, "\": ", problem->text);
            return problem;
        }
    }
    return std::nullopt;
}

}  // namespace opensend::runtime
