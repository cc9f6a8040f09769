#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

#include "kernel/base/scope_exit.h"
#include "kernel/base/text.h"
#include "kernel/runtime/settings/properties.h"
#include "kernel/runtime/settings/url.h"
#include "kernel/runtime/setup/loader.h"
#include "kernel/runtime/setup/secret_rules.h"

namespace opensend::runtime {
namespace {

constexpr size_t kGeneratedRank = 100;
constexpr size_t kFileRank = 200;
constexpr size_t kMaxVariable = 64 * 1024;
// Variables of the command line tools, no settings of the server.
constexpr std::array<std::string_view, 2> kToolVariables = {
    "OPENSEND_API_KEY", "OPENSEND_CRASH_POINT"};

/// nullopt: not readable, with the reason in `reason`; "" for an absent file that may be absent.
std::optional<std::string> ReadPropertiesFile(
    const std::string& path, bool& absent, std::string& reason
) {
    std::array<char, 256> buffer{};
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    absent = fd < 0 && errno == ENOENT;
    std::string text(kMaxPropertiesBytes + 1, '\0');
    size_t size = 0;
    bool failed = fd < 0;
    const base::ScopeExit close_fd([fd] {
        if (fd >= 0) ::close(fd);
    });
    while (!failed && size < text.size()) {
        const ssize_t n = ::read(fd, text.data() + size, text.size() - size);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) break;
        failed = n < 0;
        if (n > 0) size += static_cast<size_t>(n);
    }
    if (failed) {
        reason = ::strerror_r(errno, buffer.data(), buffer.size());
        return std::nullopt;
    }
    text.resize(size);
    return text;
}

/// Where a variable belongs: key and rank among the variables of that key.
std::optional<std::pair<std::string, size_t>> KeyOf(const std::string& variable) {
    if (const auto* setting = FindVariable(variable)) {
        const auto names = base::SplitList(setting->environment);
        const auto at = std::find(names.begin(), names.end(), variable);
        return std::pair(std::string(setting->key), static_cast<size_t>(at - names.begin()));
    }
    const std::string key = KeyOfVariable(variable);
    if (!key.empty() && FindSetting(key) != nullptr) return std::pair(key, kGeneratedRank);
    return std::nullopt;
}

bool HoldsPassword(std::string_view text) {
    const auto url = ParseConfigUrl(text, true);
    // What cannot be taken apart may hold one.
    if (!url) return text.find('@') != std::string_view::npos;
    return url->password.has_value() || url->Parameter("password").has_value();
}

}  // namespace

void ConfigLoader::GatherFile() {
    std::vector<std::string> paths = {
        "/etc/opensend/opensend.properties", "./etc/opensend.properties"};
    if (sources_.file) paths = {*sources_.file};
    for (const auto& path : paths) {
        bool absent = false;
        std::string reason;
        const auto text = ReadPropertiesFile(path, absent, reason);
        if (!text && absent && !sources_.file) continue;
        if (!text) return Problem("--config", "unreadable_file", base::Cat(path, ": ", reason));
        const auto file = ParseProperties(*text);
        for (const auto& problem : file.problems) {
            Problem(path, "bad_format", problem);
        }
        for (const auto& warning : file.warnings) {
            config_.warnings_.push_back(base::Cat(path, ": ", warning));
        }
        for (const auto& entry : file.entries) GatherFileEntry(entry.key, entry.value);
        return;
    }
}

void ConfigLoader::GatherFileEntry(const std::string& key, const std::string& value) {
    const auto* setting = FindSetting(key);
    if (setting == nullptr) return ReportUnknown(key);
    if (value.empty()) return;
    Given given{value, key, Source::kFile, false};
    if (setting->IsSecret() && value.starts_with("file:")) {
        given.value = std::string(base::Trim(std::string_view(value).substr(5)));
        given.from_file = true;
    } else if (!AcceptsPlain(*setting, key, given)) {
        return;
    }
    if (key == "app.url") app_urls_.emplace_back(kFileRank, given);
    given_[key] = std::move(given);
}

bool ConfigLoader::AcceptsPlain(
    const Setting& setting, const std::string& key, const Given& given
) {
    const bool in_file = given.source == Source::kFile;
    if (setting.Has(kSecret)) {
        Problem(
            key, "bad_format",
            in_file ? "a secret stands in the file as file:/path only"
                    : "a secret is not taken from the command line"
        );
        return false;
    }
    if (setting.Has(kUrlSecret) && HoldsPassword(given.value)) {
        Problem(
            key, "insecure",
            in_file ? "a URL in the file holds no password; use file:/path or the variable"
                    : "a URL on the command line holds no password"
        );
        return false;
    }
    const bool reference = given.value.starts_with("file:") || given.value.starts_with("secret:");
    const bool plugin_value = setting.IsFamily() && setting.key.ends_with(".config.*");
    if (plugin_value && IsSecretName(key) && !reference) {
        Problem(
            key, "bad_format",
            in_file ? "a secret stands in the file as file:/path or secret:<name>"
                    : "a secret is not taken from the command line"
        );
        return false;
    }
    return true;
}

void ConfigLoader::GatherEnvironment() {
    for (const auto& [name, value] : sources_.environment) {
        const auto trimmed = base::Trim(value);
        if (!trimmed.empty()) GatherVariable(name, std::string(trimmed));
    }
    ChooseVariables();
}

void ConfigLoader::GatherVariable(const std::string& name, const std::string& value) {
    constexpr std::string_view kFileSuffix = "_FILE";
    auto where = KeyOf(name);
    bool from_file = false;
    std::string stem = name;
    if (!where && name.ends_with(kFileSuffix)) {
        stem.resize(stem.size() - kFileSuffix.size());
        where = KeyOf(stem);
        if (where && !FindSetting(where->first)->IsSecret()) where.reset();
        from_file = true;
    }
    if (!where) {
        const bool tool =
            std::find(kToolVariables.begin(), kToolVariables.end(), name) != kToolVariables.end();
        if (name.starts_with("OPENSEND_") && !tool) {
            config_.warnings_.push_back(base::Cat(name, ": unknown variable; it has no effect"));
        }
        return;
    }
    if (value.size() > kMaxVariable) return Problem(stem, "bad_format", "longer than 64 KiB");
    variables_[where->first].push_back({
        where->second, {value, stem, Source::kEnvironment, from_file}
    });
}

void ConfigLoader::ChooseVariables() {
    for (auto& [key, candidates] : variables_) {
        std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
            return a.rank < b.rank;
        });
        if (candidates.size() > 1 && candidates[0].rank == candidates[1].rank) {
            const auto& name = candidates[0].given.name;
            Problem(name, "conflict", base::Cat("set together with ", name, "_FILE"));
        }
        if (key == "app.url") {
            for (const auto& c : candidates) app_urls_.emplace_back(1 + c.rank, c.given);
        }
        given_[key] = candidates.front().given;
    }
}

void ConfigLoader::GatherCommandLine() {
    for (const auto& text : sources_.set) {
        const size_t equals = text.find('=');
        const std::string key(base::Trim(std::string_view(text).substr(0, equals)));
        if (equals == std::string::npos || key.empty() || key.size() > 200) {
            Problem("--set", "bad_format", "must be key=value");
            continue;
        }
        const auto* setting = FindSetting(key);
        if (setting == nullptr) {
            ReportUnknown(key);
            continue;
        }
        Given given{
            std::string(base::Trim(std::string_view(text).substr(equals + 1))), key,
            Source::kCommandLine, false};
        if (given.value.empty() || !AcceptsPlain(*setting, key, given)) continue;
        if (base::HasControl(given.value)) {
            Problem(key, "bad_format", "holds a control character");
            continue;
        }
        if (key == "app.url") app_urls_.emplace_back(0, given);
        given_[key] = std::move(given);
    }
}

void ConfigLoader::ReportUnknown(const std::string& key) {
    std::string name;
    for (const char c : key.substr(0, 100)) name += c > ' ' && c < 0x7F ? c : '?';
    Problem(name, "unknown_key", base::Cat("unknown; did you mean ", NearestKey(key), "?"));
}

}  // namespace opensend::runtime
