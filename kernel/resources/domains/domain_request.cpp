#include "kernel/resources/domains/domain_request.h"

#include <algorithm>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/mime/idna.h"

namespace opensend::domains {
namespace {

constexpr std::string_view kRegions[] = {"us-east-1", "eu-west-1", "sa-east-1", "ap-northeast-1"};
constexpr std::string_view kSimulatorDomains[] = {"resend.dev", "opensend.test"};
constexpr std::string_view kUpdateFields[] = {
    "open_tracking", "click_tracking", "tracking_subdomain", "reply_tracking",
    "tls",           "capabilities"};

/// One DNS label: starts with a letter, ends alphanumeric, 1–63.
bool IsLabel(std::string_view text) {
    if (text.empty() || text.size() > 63) return false;
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const auto alnum = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
    return letter(text.front()) && alnum(text.back()) &&
           std::all_of(text.begin(), text.end(), [&](char c) { return alnum(c) || c == '-'; });
}

std::optional<std::string> ReadLabel(json::ObjectReader& in, std::string_view name) {
    auto label = in.OptionalText(name, {.single_line = true, .trim = true});
    if (label && !IsLabel(*label)) {
        in.problems().Add(in.Path(name), "must be one DNS label.", "invalid_format");
        return std::nullopt;
    }
    return label ? std::optional(base::AsciiLower(*label)) : std::nullopt;
}

void SetCapability(json::ObjectReader& in, Domain& domain, std::string_view name, bool enabled) {
    const std::string word = enabled ? "enabled" : "disabled";
    if (name == "sending") {
        domain.sending = word;
    } else if (name == "receiving") {
        domain.receiving = word;
    } else {
        in.problems().Add("capabilities", "names an unknown capability.", "invalid_value");
    }
}

void ReadCapabilityEntry(
    json::ObjectReader& in, Domain& domain, json::Value value, size_t index, bool strict
) {
    if (!value.IsObject()) {
        return in.problems().Add("capabilities", "entries need name and enabled.", "invalid_type");
    }
    json::ObjectReader entry(value, base::Cat("capabilities.", index), in.problems());
    const json::Value name = entry.Take("name");
    const json::Value enabled = entry.Take("enabled");
    entry.Finish(strict);
    if (name.IsString() && enabled.IsBool()) {
        SetCapability(in, domain, name.AsString(), enabled.AsBool());
    } else {
        in.problems().Add("capabilities", "entries need name and enabled.", "invalid_type");
    }
}

/// The object form {"sending":"enabled"} or the array form [{"name","enabled"}].
void ReadCapabilities(json::ObjectReader& in, bool strict, Domain& domain) {
    const json::Value value = in.Take("capabilities");
    if (value.IsAbsent()) return;
    if (value.IsArray()) {
        for (size_t i = 0; i < value.size(); ++i) {
            ReadCapabilityEntry(in, domain, value.At(i), i, strict);
        }
    } else if (value.IsObject()) {
        for (size_t i = 0; i < value.size(); ++i) {
            const json::Value state = value.MemberAt(i);
            const bool known = state.IsString() &&
                               (state.AsString() == "enabled" || state.AsString() == "disabled");
            if (known) {
                SetCapability(in, domain, value.NameAt(i), state.AsString() == "enabled");
            } else {
                in.problems().Add("capabilities", "must be enabled or disabled.", "invalid_value");
            }
        }
    } else {
        in.problems().Add("capabilities", "must be an object or an array.", "invalid_type");
        return;
    }
    if (domain.sending == "disabled" && domain.receiving == "disabled") {
        in.problems().Add("capabilities", "cannot all be disabled.", "invalid_value");
    }
}

void ReadTls(json::ObjectReader& in, Domain& domain) {
    const auto tls = in.OptionalText("tls");
    if (!tls) return;
    if (*tls == "opportunistic") {
        domain.tls = "opportunistic";
    } else if (*tls == "enforced" || *tls == "required") {
        domain.tls = "enforced";
    } else {
        in.problems().Add("tls", "must be opportunistic or enforced.", "invalid_value");
    }
}

void ReadIdentity(
    json::ObjectReader& in, const std::vector<std::string>& more_regions, Domain& domain
) {
    if (auto region = in.OptionalText("region")) {
        const bool known =
            std::find(std::begin(kRegions), std::end(kRegions), *region) != std::end(kRegions) ||
            std::find(more_regions.begin(), more_regions.end(), *region) != more_regions.end();
        if (!known) {
            std::vector<std::string> all(std::begin(kRegions), std::end(kRegions));
            all.insert(all.end(), more_regions.begin(), more_regions.end());
            in.problems().Add(
                base::ErrorCode::kInvalidRegion, "region",
                base::Cat("must be one of ", base::Join(all, ", "), '.'), ""
            );
        }
        domain.region = *region;
    }
    if (auto label = ReadLabel(in, "custom_return_path")) domain.return_path = *label;
}

/// A field that is not nullable and is null on an update is a problem (REST 1.5).
void RefuseNulls(json::ObjectReader& in) {
    for (const std::string_view field : kUpdateFields) {
        if (field == "tracking_subdomain" || !in.Take(field).IsNull()) continue;
        in.problems().Add(field, "cannot be null.", "invalid_type");
    }
}

void RequireOne(json::ObjectReader& in) {
    for (const std::string_view field : kUpdateFields) {
        if (!in.Take(field).IsMissing()) return;
    }
    in.problems().Add("", "Give at least one field to change.", "no_fields");
}

bool IsUnder(const std::string& name, std::string_view suffix) {
    if (suffix.empty()) return false;
    return name == suffix || (name.size() > suffix.size() &&
                              std::string_view(name).substr(name.size() - suffix.size() - 1) ==
                                  base::Cat('.', suffix));
}

}  // namespace

std::string NormaliseName(const std::string& input, const std::vector<std::string>& own_hosts) {
    std::string text(base::Trim(input));
    if (!text.empty() && text.back() == '.') text.pop_back();
    const auto name = mime::ToALabel(text);
    if (!name) throw base::Invalid("name", "must be a domain name.", "invalid_format");
    for (const std::string_view simulator : kSimulatorDomains) {
        if (IsUnder(*name, simulator))
            throw base::Invalid("name", "is a simulator domain.", "invalid_value");
    }
    for (const std::string_view reserved : {"localhost", "invalid"}) {
        if (IsUnder(*name, reserved))
            throw base::Invalid("name", "is a reserved name.", "invalid_value");
    }
    if (mime::IsPublicSuffix(*name)) {
        throw base::Invalid("name", "is a public suffix.", "invalid_value");
    }
    for (const std::string& host : own_hosts) {
        if (IsUnder(*name, base::AsciiLower(host))) {
            throw base::Invalid("name", "belongs to this installation.", "invalid_value");
        }
    }
    return *name;
}

void ReadDomainSettings(
    json::ObjectReader& in,
    DomainBody body,
    const std::vector<std::string>& more_regions,
    bool strict,
    Domain& domain
) {
    if (body == DomainBody::kUpdate) {
        RefuseNulls(in);
        RequireOne(in);
    } else {
        ReadIdentity(in, more_regions, domain);
    }
    domain.open_tracking = in.OptionalBool("open_tracking").value_or(domain.open_tracking);
    domain.click_tracking = in.OptionalBool("click_tracking").value_or(domain.click_tracking);
    if (in.Take("tracking_subdomain").IsNull()) domain.tracking_subdomain.reset();
    if (auto label = ReadLabel(in, "tracking_subdomain")) domain.tracking_subdomain = *label;
    if (body == DomainBody::kClaim) return;
    domain.reply_tracking = in.OptionalBool("reply_tracking").value_or(domain.reply_tracking);
    ReadTls(in, domain);
    ReadCapabilities(in, strict, domain);
}

std::vector<std::string> ChangedSettings(const Domain& before, const Domain& after) {
    std::vector<std::string> changed;
    const auto note = [&](bool differs, const char* name) {
        if (differs) changed.emplace_back(name);
    };
    note(before.open_tracking != after.open_tracking, "open_tracking");
    note(before.click_tracking != after.click_tracking, "click_tracking");
    note(before.tracking_subdomain != after.tracking_subdomain, "tracking_subdomain");
    note(before.reply_tracking != after.reply_tracking, "reply_tracking");
    note(before.tls != after.tls, "tls");
    note(before.sending != after.sending || before.receiving != after.receiving, "capabilities");
    return changed;
}

}  // namespace opensend::domains
