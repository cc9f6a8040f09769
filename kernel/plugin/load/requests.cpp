#include "kernel/plugin/load/requests.h"

#include <algorithm>
#include <utility>

#include <opensend/plugin.h>

#include "kernel/plugin/load/schema.h"

namespace opensend::plugin {
namespace {

enum class GrantForm { kList = 1, kSize, kCount, kFlag };
constexpr std::pair<std::string_view, GrantForm> kGrantForms[] = {
    {"http",       GrantForm::kList },
    {"net",        GrantForm::kList },
    {"secrets",    GrantForm::kList },
    {"kv",         GrantForm::kSize },
    {"blob",       GrantForm::kSize },
    {"threads",    GrantForm::kCount},
    {"timers",     GrantForm::kFlag },
    {"event",      GrantForm::kFlag },
    {"ingest",     GrantForm::kFlag },
    {"credential", GrantForm::kFlag },
    {"listen",     GrantForm::kList },
};
constexpr std::string_view kShippedNames[] = {
    "capture", "smtp", "ses", "api_key", "memory_limit", "redis_limit", "mime_inbound"};
constexpr std::string_view kInterfaces[] = {
    OSP_KIND_TRANSPORT, OSP_KIND_AUTH, OSP_KIND_RATELIMIT, OSP_KIND_INBOUND, OSP_KIND_LISTENER};
constexpr std::string_view kExperimentalPrefix = "x-opensend.";
constexpr std::pair<std::string_view, int64_t> kSizeSuffixes[] = {
    {"KiB", 1 << 10},
    {"MiB", 1 << 20},
    {"GiB", 1 << 30}
};
constexpr size_t kMaxGrantItems = 100, kMaxGrantText = 300;

std::optional<GrantForm> FormOf(std::string_view name) {
    for (const auto& [known, form] : kGrantForms) {
        if (known == name) return form;
    }
    return std::nullopt;
}

/// Bytes of "512KiB", "1MiB", "2GiB" or a plain number.
std::optional<int64_t> GrantBytes(std::string_view text) {
    int64_t unit = 1;
    for (const auto& [suffix, factor] : kSizeSuffixes) {
        if (text.size() <= suffix.size() || text.substr(text.size() - suffix.size()) != suffix)
            continue;
        unit = factor;
        text = base::Trim(text.substr(0, text.size() - suffix.size()));
        break;
    }
    const auto number = base::ParseInt(text);
    if (!number || *number < 0 || *number > (int64_t{1} << 40) / unit) return std::nullopt;
    return *number * unit;
}

/// Printable ASCII without what separates the elements of a setting.
bool IsGrantText(const json::Value& value) {
    if (!value.IsString() || value.AsString().empty() || value.AsString().size() > kMaxGrantText)
        return false;
    const std::string_view text = value.AsString();
    return std::all_of(text.begin(), text.end(), [](char c) {
        return c > ' ' && c < 127 && c != ',';
    });
}

/// The request as a setting would say it; nullopt: another type than the grant has.
std::optional<std::string> RequestText(GrantForm form, const json::Value& value) {
    switch (form) {
        case GrantForm::kList: {
            if (!value.IsArray() || value.size() > kMaxGrantItems) return std::nullopt;
            std::vector<std::string> items;
            for (size_t i = 0; i < value.size(); ++i) {
                if (!IsGrantText(value.At(i))) return std::nullopt;
                items.emplace_back(value.At(i).AsString());
            }
            return base::Join(items, ", ");
        }
        case GrantForm::kSize: {
            if (value.IsInt() && value.AsInt() >= 0) return base::Cat(value.AsInt());
            if (!IsGrantText(value) || !GrantBytes(value.AsString())) return std::nullopt;
            return std::string(value.AsString());
        }
        case GrantForm::kCount:
            if (!value.IsInt() || value.AsInt() < 0) return std::nullopt;
            return base::Cat(value.AsInt());
        case GrantForm::kFlag:
            if (!value.IsBool()) return std::nullopt;
            return std::string(value.AsBool() ? "true" : "false");
    }
    return std::nullopt;
}

bool CoversItem(const std::vector<std::string>& given, const std::string& wanted) {
    return std::any_of(given.begin(), given.end(), [&](const std::string& one) {
        if (one == wanted || one == "*") return true;
        const bool is_prefix = one.size() > 2 && one.compare(one.size() - 2, 2, "/*") == 0;
        return is_prefix && wanted.size() >= one.size() &&
               wanted.compare(0, one.size() - 1, one, 0, one.size() - 1) == 0;
    });
}

/// What of the request is not covered; empty: all is.
std::string Uncovered(const GrantRequest& request, const std::string& given) {
    const auto form = FormOf(request.name);
    if (form == GrantForm::kList) {
        const auto allowed = base::SplitList(given);
        for (const std::string& wanted : base::SplitList(request.value)) {
            if (!CoversItem(allowed, wanted)) return wanted;
        }
        return {};
    }
    if (form == GrantForm::kFlag)
        return request.value == "true" && given != "true" ? request.value : std::string();
    const auto wanted = GrantBytes(request.value).value_or(0);
    return wanted > GrantBytes(base::Trim(given)).value_or(0) ? request.value : std::string();
}

}  // namespace

Checked<std::vector<GrantRequest>> ReadGrantRequests(std::string_view manifest_json) {
    const auto document = json::Document::Parse(manifest_json);
    if (!document.ok()) return Refuse("manifest", "JSON", document.error().reason);
    const json::Value grants = document->root().Find("grants");
    std::vector<GrantRequest> out;
    if (grants.IsMissing()) return out;
    if (!grants.IsObject()) return Refuse("grants", "an object \"grants\"", "another value");
    for (size_t i = 0; i < grants.size(); ++i) {
        const std::string_view name = grants.NameAt(i);
        const auto form = FormOf(name);
        std::string shown = base::HasControl(name) ? "?" : std::string(name.substr(0, 60));
        if (!form) return Refuse("grants", "grants of this server", std::move(shown));
        auto text = RequestText(*form, grants.MemberAt(i));
        if (!text) return Refuse("grants", base::Cat("a usable \"", name, "\""), "another value");
        out.push_back({std::move(shown), std::move(*text)});
    }
    return out;
}

std::optional<Problem> CompareGrants(
    const std::vector<GrantRequest>& requests,
    const std::map<std::string, std::string>& given,
    std::string_view plugin
) {
    for (const GrantRequest& request : requests) {
        const auto found = given.find(request.name);
        const std::string missing =
            Uncovered(request, found == given.end() ? std::string() : found->second);
        if (missing.empty()) continue;
        return Problem{
            "grants", base::Cat("plugins.", plugin, ".grants.", request.name, " to give ", missing),
            found == given.end() ? "nothing" : found->second};
    }
    return std::nullopt;
}

bool IsShipped(std::string_view name, std::string_view id) {
    const bool known = std::find(std::begin(kShippedNames), std::end(kShippedNames), name) !=
                       std::end(kShippedNames);
    return known && id == base::Cat("opensend.", name);
}

bool IsKnownInterface(std::string_view iface, const std::vector<std::string>& allowed) {
    if (std::find(std::begin(kInterfaces), std::end(kInterfaces), iface) != std::end(kInterfaces))
        return true;
    if (iface.substr(0, kExperimentalPrefix.size()) != kExperimentalPrefix) return false;
    const std::string_view rest = iface.substr(kExperimentalPrefix.size());
    const std::string_view name = rest.substr(0, rest.find('/'));
    return std::find(allowed.begin(), allowed.end(), name) != allowed.end();
}

std::string SchemaOf(std::string_view manifest_json, std::string_view kind) {
    const auto document = json::Document::Parse(manifest_json);
    if (!document.ok()) return {};
    const json::Value schema = document->root().Find("config_schema").Find(kind);
    return schema.IsObject() ? json::Canonical(schema) : std::string();
}

std::optional<Problem> CheckSchemas(std::string_view manifest_json) {
    const auto document = json::Document::Parse(manifest_json);
    if (!document.ok()) return Problem{"manifest", "JSON", document.error().reason};
    const json::Value schemas = document->root().Find("config_schema");
    if (schemas.IsMissing()) return std::nullopt;
    if (!schemas.IsObject())
        return Problem{"manifest", "\"config_schema\" with a schema per kind", "another value"};
    for (size_t i = 0; i < schemas.size(); ++i) {
        if (auto problem = CheckSchema(schemas.MemberAt(i), schemas.NameAt(i))) return problem;
    }
    return std::nullopt;
}

}  // namespace opensend::plugin
