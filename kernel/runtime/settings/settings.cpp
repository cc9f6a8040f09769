#include "kernel/runtime/settings.h"

#include <algorithm>
#include <map>

#include "kernel/base/text.h"
#include "kernel/runtime/settings/setting_rows.h"
#include "kernel/runtime/settings/url.h"

namespace opensend::runtime {
namespace {

constexpr std::string_view kVariablePrefix = "OPENSEND_";

bool IsNameSegment(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

bool IsKnownBucket(std::string_view name) {
    const auto& all = AllRateBuckets();
    return std::any_of(all.begin(), all.end(), [name](const auto& b) { return b.name == name; });
}

bool MatchesBucket(std::string_view pattern, std::string_view key) {
    constexpr std::string_view kHead = "ratelimit.";
    const auto tail = pattern.substr(pattern.rfind('.'));
    if (key.size() <= kHead.size() + tail.size() || key.substr(0, kHead.size()) != kHead) {
        return false;
    }
    if (key.substr(key.size() - tail.size()) != tail) return false;
    return IsKnownBucket(key.substr(kHead.size(), key.size() - kHead.size() - tail.size()));
}

bool MatchesFamily(std::string_view pattern, std::string_view key) {
    if (pattern.find("<bucket>") != std::string_view::npos) return MatchesBucket(pattern, key);
    const auto want = base::Split(pattern, '.');
    const auto have = base::Split(key, '.');
    const bool open = want.back() == "*";
    if (open ? have.size() < want.size() : have.size() != want.size()) return false;
    for (size_t i = 0; i < have.size(); ++i) {
        if (open && i + 1 >= want.size()) {
            if (!IsNameSegment(have[i])) return false;
        } else if (want[i].front() == '<' ? !IsNameSegment(have[i]) : want[i] != have[i]) {
            return false;
        }
    }
    return true;
}

struct SettingIndex {
    std::map<std::string_view, const Setting*> by_key;
    std::map<std::string, const Setting*, std::less<>> by_variable;
    std::vector<const Setting*> families;
};

const SettingIndex& Index() {
    static const SettingIndex index = [] {
        SettingIndex made;
        for (const auto& setting : AllSettings()) {
            if (setting.IsFamily()) {
                made.families.push_back(&setting);
            } else {
                made.by_key.emplace(setting.key, &setting);
            }
            for (const auto& name : base::SplitList(setting.environment)) {
                made.by_variable.emplace(name, &setting);
            }
        }
        return made;
    }();
    return index;
}

size_t EditDistance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t above = row[j];
            row[j] =
                std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0u : 1u)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

/// A family's pattern with the names that the key has at the same places.
std::string FilledPattern(std::string_view pattern, std::string_view key) {
    auto want = base::Split(pattern, '.');
    const auto have = base::Split(key, '.');
    std::vector<std::string> parts;
    for (size_t i = 0; i < want.size(); ++i) {
        const bool open = want[i].front() == '<' || want[i] == "*";
        parts.emplace_back(open && i < have.size() && !have[i].empty() ? have[i] : want[i]);
    }
    return base::Join(parts, ".");
}

}  // namespace

const std::vector<Setting>& AllSettings() {
    static const std::vector<Setting> all = [] {
        auto rows = ServerSettings();
        const auto mail = MailSettings();
        rows.insert(rows.end(), mail.begin(), mail.end());
        std::sort(rows.begin(), rows.end(), [](const Setting& a, const Setting& b) {
            return a.key < b.key;
        });
        return rows;
    }();
    return all;
}

const Setting* FindSetting(std::string_view key) {
    const auto& index = Index();
    if (const auto found = index.by_key.find(key); found != index.by_key.end()) {
        return found->second;
    }
    for (const auto* family : index.families) {
        if (MatchesFamily(family->key, key)) return family;
    }
    return nullptr;
}

const Setting* FindVariable(std::string_view variable) {
    const auto found = Index().by_variable.find(variable);
    return found == Index().by_variable.end() ? nullptr : found->second;
}

std::string NearestKey(std::string_view key) {
    std::string best;
    size_t best_distance = SIZE_MAX;
    const auto offer = [&](std::string name) {
        const size_t distance = EditDistance(key.substr(0, 200), name);
        if (distance < best_distance) {
            best_distance = distance;
            best = std::move(name);
        }
    };
    for (const auto& setting : AllSettings()) {
        if (setting.key.find("<bucket>") != std::string_view::npos) {
            const std::string tail(setting.key.substr(setting.key.rfind('.')));
            for (const auto& b : AllRateBuckets()) offer(base::Cat("ratelimit.", b.name, tail));
        } else {
            offer(setting.IsFamily() ? FilledPattern(setting.key, key) : std::string(setting.key));
        }
    }
    return best;
}

std::string VariableOfKey(std::string_view key) {
    return base::Cat(kVariablePrefix, base::ReplaceAll(base::AsciiUpper(key), ".", "__"));
}

std::string KeyOfVariable(std::string_view variable) {
    if (variable.substr(0, kVariablePrefix.size()) != kVariablePrefix) return {};
    const auto rest = variable.substr(kVariablePrefix.size());
    const std::string key = base::ReplaceAll(base::AsciiLower(rest), "__", ".");
    return VariableOfKey(key) == variable ? key : std::string();
}

std::string_view FallbackFor(const Setting& setting, bool strict) {
    constexpr std::string_view kBetween = " // ";
    const size_t at = setting.fallback.find(kBetween);
    if (at == std::string_view::npos) return setting.fallback;
    return strict ? setting.fallback.substr(at + kBetween.size()) : setting.fallback.substr(0, at);
}

std::string DisplayName(const Setting& setting) {
    const auto names = base::SplitList(setting.environment);
    return names.empty() ? std::string(setting.key) : names.front();
}

const std::vector<BucketRow>& AllRateBuckets() {
    static const std::vector<BucketRow> all = {
        {"org.api",       "100/s",  200  },
        {"key.api",       "50/s",   100  },
        {"org.send",      "100/s",  10000},
        {"key.admin",     "10/min", 30   },
        {"org.events",    "50/s",   500  },
        {"addr.anon",     "100/s",  400  },
        {"addr.authfail", "10/min", 20   },
        {"user.signin",   "5/min",  10   },
        {"addr.ingest",   "200/s",  1000 },
        {"addr.smtp",     "20/s",   200  },
        {"org.export",    "10/h",   5    },
        {"rcpt.system",   "5/h",    5    },
    };
    return all;
}

std::string PropertiesTemplate(const std::string& app_url) {
    const auto url = ParseConfigUrl(app_url);
    const bool strict = !url || !IsLocalHost(url->host);
    std::string out = base::Cat(
        "# Settings of this server. A key behind # shows its default.\n\n# ",
        FindSetting("app.url")->doc, "\napp.url = ", app_url, "\n"
    );
    for (const auto& setting : AllSettings()) {
        if (setting.key == "app.url" || setting.Has(kLater)) continue;
        out += base::Cat("\n# ", setting.doc, "\n");
        if (setting.IsSecret() && !setting.IsFamily()) {
            const bool named = !setting.environment.empty();
            const auto variable = named ? DisplayName(setting) : VariableOfKey(setting.key);
            out += base::Cat("# Also the variable ", variable, " or ", variable, "_FILE.\n");
        }
        const auto fallback = setting.Has(kSecret) ? "file:/path" : FallbackFor(setting, strict);
        out += base::Cat("# ", setting.key, " =", fallback.empty() ? "" : " ", fallback, "\n");
    }
    return out;
}

std::string SettingsReference() {
    std::string out =
        "| Key | Variables | Default | Values | Read again | Meaning "
        "|\n|---|---|---|---|---|---|\n";
    const auto cell = [](std::string_view text) { return base::ReplaceAll(text, "|", "\\|"); };
    for (const auto& setting : AllSettings()) {
        auto names = base::SplitList(setting.environment);
        if (!setting.IsFamily()) names.push_back(VariableOfKey(setting.key));
        out += base::Cat(
            "| `", setting.key, "` | `", base::Join(names, "` `"), "` | ",
            cell(base::ReplaceAll(setting.fallback, " // ", " locally, else ")), " | ",
            cell(setting.rule), setting.IsSecret() ? " (secret)" : "", " | ",
            setting.Has(kReread) ? "yes" : "", " | ", cell(setting.doc),
            setting.Has(kLater) ? " (no effect yet)" : "", " |\n"
        );
    }
    return out;
}

}  // namespace opensend::runtime
