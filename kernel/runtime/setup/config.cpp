#include "kernel/runtime/config.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/settings.h"
#include "kernel/runtime/settings/url.h"
#include "kernel/runtime/settings/values.h"
#include "kernel/runtime/setup/loader.h"
#include "kernel/runtime/setup/secret_rules.h"

namespace opensend::runtime {
namespace {

const Setting& Row(std::string_view key) {
    const auto* setting = FindSetting(key);
    OPENSEND_CHECK(setting != nullptr, "a key of the table of settings");
    return *setting;
}

/// The key of a variable in either spelling, or of a key; "" when unknown.
std::string KeyOfName(std::string_view name) {
    if (const auto* setting = FindVariable(name)) return std::string(setting->key);
    if (FindSetting(name) != nullptr) return std::string(name);
    const std::string key = KeyOfVariable(name);
    return !key.empty() && FindSetting(key) != nullptr ? key : std::string();
}

/// Secrets that a plugin may be given by reference; the server's own never are.
bool IsForPlugins(std::string_view key) {
    return key.starts_with("transport.") || key.starts_with("plugins.") ||
           key.starts_with("aws.") || key == "ratelimit.redis_url";
}

}  // namespace

std::map<std::string, std::string> ReadEnvironment() {
    std::map<std::string, std::string> all;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const size_t equals = text.find('=');
        if (equals == std::string_view::npos) continue;
        all.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return all;
}

base::Result<Config, std::vector<ConfigProblem>> Config::Load(const ConfigSources& sources) {
    return ConfigLoader(sources).Run();
}

std::string Config::Text(std::string_view key) const {
    const auto& setting = Row(key);
    OPENSEND_CHECK(!setting.IsSecret(), "secrets are asked for with SecretValue");
    const auto found = values_.find(key);
    return found == values_.end() ? std::string(FallbackFor(setting, strict_)) : found->second;
}

int64_t Config::Int(std::string_view key) const {
    const auto type = Row(key).type;
    OPENSEND_CHECK(type == SettingType::kInt || type == SettingType::kSize, "a number");
    const auto text = Text(key);
    return (type == SettingType::kInt ? base::ParseInt(text) : ParseSize(text)).value_or(0);
}

bool Config::Bool(std::string_view key) const {
    OPENSEND_CHECK(Row(key).type == SettingType::kBool, "a truth value");
    return ParseBool(Text(key)).value_or(false);
}

base::Duration Config::Span(std::string_view key) const {
    OPENSEND_CHECK(Row(key).type == SettingType::kSpan, "a duration");
    return ParseSpan(Text(key)).value_or(base::Duration(0));
}

std::vector<std::string> Config::List(std::string_view key) const {
    OPENSEND_CHECK(Row(key).type == SettingType::kList, "a list");
    return base::SplitList(Text(key));
}

bool Config::IsSet(std::string_view key) const {
    return Row(key).IsSecret() ? secrets_->find(key) != secrets_->end() : !Text(key).empty();
}

std::map<std::string, std::string> Config::Below(std::string_view prefix) const {
    std::map<std::string, std::string> found;
    for (auto at = values_.lower_bound(prefix); at != values_.end(); ++at) {
        if (!at->first.starts_with(prefix)) break;
        found.emplace(at->first.substr(prefix.size()), at->second);
    }
    return found;
}

std::optional<base::Secret> Config::SecretValue(std::string_view variable) const {
    const auto found = secrets_->find(KeyOfName(variable));
    if (found == secrets_->end()) return std::nullopt;
    return found->second.Clone();
}

std::optional<base::Secret> Config::ResolveSecret(std::string_view reference) const {
    const size_t colon = reference.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto form = reference.substr(0, colon);
    auto rest = reference.substr(colon + 1);
    if (form == "env") {
        constexpr std::string_view kPassword = "#password";
        const bool password = rest.ends_with(kPassword);
        if (password) rest.remove_suffix(kPassword.size());
        const std::string key = KeyOfName(rest);
        if (key.empty() || !IsForPlugins(key)) return std::nullopt;
        auto secret = SecretValue(rest);
        if (!secret || !password) return secret;
        auto url = ParseConfigUrl(secret->Reveal(), true);
        if (!url || !url->password) return std::nullopt;
        return base::Secret(std::move(*url->password));
    }
    std::optional<std::string> path;
    if (form == "file") path = std::string(base::Trim(rest));
    if (form == "secret") path = NamedSecretPath(Text("secrets.dir"), rest);
    if (!path) return std::nullopt;
    auto text = ReadSecretFile(*path, strict_, form == "secret");
    if (!text) {
        OPENSEND_LOG(
            kError, "config.secret_unreadable", "a secret file cannot be read",
            kv("reason", text.error())
        );
        return std::nullopt;
    }
    return base::Secret(std::move(*text));
}

std::string Config::Show() const {
    std::map<std::string, std::string, std::less<>> lines;
    const auto describe = [this](const std::string& key) -> std::string {
        const auto found = secrets_->find(key);
        if (found == secrets_->end()) return "unset";
        const bool with_kid = key == "secrets.master_key" && kid_;
        return base::Cat(
            "set (", found->second.size(), " bytes", with_kid ? ", kid " : "",
            with_kid ? kid_(found->second) : std::string(), ")"
        );
    };
    for (const auto& setting : AllSettings()) {
        if (setting.IsFamily()) continue;
        const std::string key(setting.key);
        lines[key] = setting.IsSecret() ? describe(key) : Text(key);
    }
    for (const auto& [key, value] : values_) lines[key] = value;
    for (const auto& [key, secret] : *secrets_) lines[key] = describe(key);
    std::string out;
    for (const auto& [key, value] : lines) out += base::Cat(key, " = ", value, "\n");
    return out;
}

std::string FormatProblems(const std::vector<ConfigProblem>& problems) {
    std::string out = base::Cat(
        "opensend: configuration refused (", problems.size(),
        problems.size() == 1 ? " problem)\n" : " problems)\n"
    );
    bool generated = false;
    for (const auto& problem : problems) {
        out += base::Cat("  ", problem.name, ": ", problem.code, ": ", problem.text, "\n");
        const auto key = KeyOfName(problem.name);
        generated = generated || (!key.empty() && FindSetting(key)->IsSecret() &&
                                  problem.code != "bad_url" && problem.code != "unreadable_file");
    }
    if (generated) out += "  generate secrets with: openssl rand -hex 32\n";
    return out;
}

std::string ProblemsAsJson(const std::vector<ConfigProblem>& problems) {
    std::string out = R"({"event":"startup.config_refused","problems":[)";
    for (size_t i = 0; i < problems.size(); ++i) {
        const auto& problem = problems[i];
        out += base::Cat(
            i == 0 ? "" : ",", R"({"name":)", QuoteJson(problem.name), R"(,"code":)",
            QuoteJson(problem.code), R"(,"text":)", QuoteJson(problem.text), "}"
        );
    }
    return out + "]}\n";
}

}  // namespace opensend::runtime
