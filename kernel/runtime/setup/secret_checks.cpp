#include <algorithm>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/runtime/setup/loader.h"
#include "kernel/runtime/setup/secret_rules.h"

namespace opensend::runtime {
namespace {

constexpr size_t kServerSecretLength = 32;
constexpr size_t kEvaluationKeyLength = 16;
constexpr std::string_view kMasterKey = "secrets.master_key";
constexpr std::string_view kPreviousKeys = "secrets.previous_keys";

bool IsTokenText(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

std::string TooShort(size_t have, size_t need) {
    return base::Cat(have, " characters; at least ", need, " are needed");
}

}  // namespace

void ConfigLoader::CheckServerSecrets() {
    for (const auto& [key, secret] : secrets_) {
        const auto* setting = FindSetting(key);
        if (setting->Has(kServer)) {
            CheckServerSecret(key);
        } else if (setting->Has(kSecret) && key != kPreviousKeys && !key.starts_with("aws.")) {
            if (IsPlaceholder(secret.Reveal())) {
                if (config_.strict_) {
                    Problem(
                        NameOf(key), "placeholder",
                        "placeholder value; replace it with a generated secret"
                    );
                } else {
                    config_.warnings_.push_back(
                        base::Cat("startup.placeholder_secret: ", NameOf(key))
                    );
                }
            } else if (config_.strict_ && key == "admin.metrics_token" && IsWeak(secret.Reveal())) {
                Problem(NameOf(key), "weak", "value is guessable");
            }
        }
    }
    CheckPreviousKeys();
    CheckDuplicates();
}

void ConfigLoader::CheckServerSecret(const std::string& key) {
    const auto* setting = FindSetting(key);
    const std::string name = NameOf(key);
    if (HasProblem(name)) return;
    std::vector<std::string> parts = {std::string(SecretText(key))};
    if (setting->rule == "tokens") {
        parts = base::SplitList(parts.front());
        const bool good = std::all_of(parts.begin(), parts.end(), [](const auto& part) {
            return IsTokenText(part);
        });
        if (!good) return Problem(name, "bad_format", "visible ASCII without spaces");
        if (parts.empty() || parts.size() > 2) {
            return Problem(name, "bad_format", "one token, or two separated by a comma");
        }
    }
    for (const auto& part : parts) {
        if (!base::IsUtf8(part)) return Problem(name, "bad_format", "not UTF-8");
        if (IsPlaceholder(part)) {
            if (config_.strict_) {
                return Problem(
                    name, "placeholder", "placeholder value; replace it with a generated secret"
                );
            }
            config_.warnings_.push_back(base::Cat("startup.placeholder_secret: ", name));
        }
        if (!CheckLength(key, part)) return;
        if (config_.strict_ && IsWeak(part)) return Problem(name, "weak", "value is guessable");
    }
}

bool ConfigLoader::CheckLength(const std::string& key, std::string_view part) {
    const size_t have = base::CountCodePoints(part);
    if (have >= kServerSecretLength) return true;
    const std::string name = NameOf(key);
    if (needs_secrets_) {
        Problem(name, "too_short", TooShort(have, kServerSecretLength));
        return false;
    }
    const bool is_key = key == kMasterKey || key == kPreviousKeys;
    if (is_key && have < kEvaluationKeyLength) {
        Problem(name, "too_short", TooShort(have, kEvaluationKeyLength));
        return false;
    }
    config_.warnings_.push_back(base::Cat("startup.short_secret: ", name));
    return true;
}

void ConfigLoader::CheckPreviousKeys() {
    const auto previous = base::SplitList(SecretText(kPreviousKeys));
    const std::string name = NameOf(kPreviousKeys);
    std::vector<std::string> known = {std::string(SecretText(kMasterKey))};
    const auto same = [this](const std::string& a, const std::string& b) {
        if (a == b) return true;
        return sources_.kid && sources_.kid(base::Secret(a)) == sources_.kid(base::Secret(b));
    };
    for (const auto& key : previous) {
        if (!base::IsUtf8(key)) return Problem(name, "bad_format", "not UTF-8");
        if (!CheckLength(std::string(kPreviousKeys), key)) return;
        for (const auto& other : known) {
            if (!same(key, other)) continue;
            return Problem(
                name, "conflict",
                base::Cat("one of the keys is set together with ", NameOf(kMasterKey), " or twice")
            );
        }
        known.push_back(key);
    }
}

void ConfigLoader::CheckDuplicates() {
    struct Owner {
        std::string name, value;
        bool server;
    };
    std::vector<Owner> owners;
    for (const auto& [key, secret] : secrets_) {
        const auto* setting = FindSetting(key);
        if (setting->Has(kServer)) {
            for (auto& part : base::SplitList(secret.Reveal())) {
                owners.push_back({NameOf(key), std::move(part), true});
            }
        } else if (key == "database.url" || key == "ratelimit.redis_url") {
            const auto url = ParseConfigUrl(secret.Reveal(), true);
            if (!url) continue;
            auto password = url->password ? url->password : url->Parameter("password");
            if (password) owners.push_back({NameOf(key), *password, false});
        }
    }
    std::sort(owners.begin(), owners.end(), [](const auto& a, const auto& b) {
        return a.name < b.name;
    });
    for (size_t i = 0; i < owners.size(); ++i) {
        for (size_t j = i + 1; j < owners.size(); ++j) {
            const auto &a = owners[i], &b = owners[j];
            if (a.name == b.name || a.value != b.value || a.value.empty()) continue;
            if (!a.server && !b.server) continue;
            Problem(b.name, "duplicate", base::Cat("same value as ", a.name));
        }
    }
}

void ConfigLoader::CheckRequired() {
    if (!needs_secrets_) return;
    const bool http_scheduler = Has("ingester.url") && HasRole("scheduler") && !HasRole("worker");
    for (const auto& row : RoleMatrix()) {
        auto roles = RolesWith(row.key, "R");
        if (row.key == "ingester.job_token" && http_scheduler) roles.emplace_back("scheduler");
        if (roles.empty() || secrets_.contains(row.key) || HasProblem(NameOf(row.key))) continue;
        Problem(
            NameOf(row.key), "missing", base::Cat("required by role(s) ", base::Join(roles, ", "))
        );
    }
}

std::vector<std::string> ConfigLoader::DevSecretKeys() const {
    std::vector<std::string> keys;
    for (const char* key : {"auth.secret", "secrets.master_key"}) {
        if (Has(key) || secrets_.contains(std::string_view(key))) continue;
        if (roles_.empty() || !RolesWith(key, "R").empty()) keys.emplace_back(key);
    }
    return keys;
}

}  // namespace opensend::runtime
