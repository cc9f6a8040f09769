#include "kernel/runtime/setup/loader.h"

#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/runtime/settings/values.h"
#include "kernel/runtime/setup/dev_secrets.h"
#include "kernel/runtime/setup/secret_rules.h"

namespace opensend::runtime {
namespace {

// File systems of other machines, by the kernel's numbers: NFS, SMB, CIFS.
constexpr int64_t kRemoteFileSystems[] = {0x6969, 0x517B, 0xFF534D42, 0xFE534D42};

std::string WithoutLastSlash(std::string text) {
    if (!text.empty() && text.back() == '/') text.pop_back();
    return text;
}

std::string HostOf(std::string_view url) {
    const auto parsed = ParseConfigUrl(url);
    return parsed ? parsed->host : std::string();
}

}  // namespace

ConfigLoader::ConfigLoader(const ConfigSources& sources) : sources_(sources) {
    for (const auto& role : sources.roles) {
        if (role == "all") {
            for (const auto& each : AllRoles()) {
                if (each != "migrate") roles_.insert(each);
            }
        } else {
            roles_.insert(role);
        }
    }
}

base::Result<Config, std::vector<ConfigProblem>> ConfigLoader::Run() {
    GatherFile();
    GatherEnvironment();
    GatherCommandLine();
    DecideMode();
    for (const auto& [key, given] : given_) {
        const auto* setting = FindSetting(key);
        if (setting->IsSecret()) {
            TakeSecret(*setting, key, given);
        } else {
            TakeValue(*setting, key, given);
        }
    }
    config_.kid_ = sources_.kid;
    Derive();
    CheckDataDir();
    FillDevSecrets();
    CheckServerSecrets();
    CheckRequired();
    CheckDatabase();
    CheckRateLimiter();
    CheckPairs();
    CheckListeners();
    CheckTransports();
    CheckGroups();
    CheckReferences();
    if (problems_.empty()) MakeDataDir();
    if (!problems_.empty()) {
        std::stable_sort(problems_.begin(), problems_.end(), [](const auto& a, const auto& b) {
            return a.name < b.name;
        });
        return base::Failure{std::move(problems_)};
    }
    DropUnread();
    config_.secrets_ = std::make_shared<const Config::Secrets>(std::move(secrets_));
    return std::move(config_);
}

void ConfigLoader::DecideMode() {
    std::stable_sort(app_urls_.begin(), app_urls_.end(), [](const auto& a, const auto& b) {
        return a.first < b.first;
    });
    bool any_remote = false;
    for (const auto& [rank, given] : app_urls_) {
        if (auto problem = CheckValue(*FindSetting("app.url"), given.value)) {
            Problem(given.name, problem->code, problem->text);
            continue;
        }
        any_remote = any_remote || !IsLocalHost(HostOf(given.value));
    }
    config_.strict_ = any_remote;
    for (size_t i = 0; config_.strict_ && i < app_urls_.size(); ++i) {
        const auto& given = app_urls_[i].second;
        // A local address beside the first one is left over, not used.
        if (i > 0 && IsLocalHost(HostOf(given.value))) continue;
        if (!HasProblem(given.name) && !base::StartsWithIgnoreCase(given.value, "https://")) {
            Problem(given.name, "insecure", "must be https when it is not local");
        }
    }
    const auto env = given_.find("app.env");
    needs_secrets_ = config_.strict_ || (env != given_.end() && env->second.value == "production");
}

void ConfigLoader::TakeValue(const Setting& setting, const std::string& key, Given given) {
    if (given.name == "INGESTER_SCHEDULER_INTERVAL_SECONDS" && base::ParseInt(given.value)) {
        given.value += 's';
    }
    if (!base::IsUtf8(given.value)) return Problem(given.name, "bad_format", "not UTF-8");
    const bool plugin_value = setting.IsFamily() && setting.key.ends_with(".config.*");
    if (plugin_value && given.source == Source::kEnvironment && IsSecretName(key) &&
        !given.value.starts_with("file:") && !given.value.starts_with("secret:")) {
        secrets_.emplace(key, base::Secret(given.value));
        config_.values_[key] = base::Cat("env:", given.name);
        return;
    }
    if (key != "app.url") {  // those are checked all together
        if (auto problem = CheckValue(setting, given.value)) {
            Problem(given.name, problem->code, problem->text);
        }
    }
    config_.values_[key] = given.value;
}

void ConfigLoader::TakeSecret(const Setting& setting, const std::string& key, Given given) {
    if (given.from_file) {
        auto text = ReadSecretFile(given.value, config_.strict_);
        if (!text) return Problem(given.name, "unreadable_file", text.error());
        given.value = std::string(base::Trim(*text));
        if (given.value.empty()) return Problem(given.name, "unreadable_file", "the file is empty");
    }
    if (base::HasControl(given.value)) {
        return Problem(given.name, "bad_format", "holds a control character");
    }
    if (auto problem = CheckValue(setting, given.value)) {
        Problem(given.name, problem->code, problem->text);
    }
    secrets_.insert_or_assign(key, base::Secret(std::move(given.value)));
}

void ConfigLoader::Derive() {
    auto& values = config_.values_;
    if (!app_urls_.empty()) values["app.url"] = app_urls_.front().second.value;
    const std::string app_url = WithoutLastSlash(config_.Text("app.url"));
    values["app.url"] = app_url;
    const auto fill = [&](const char* key, std::string value) {
        if (config_.Text(key).empty()) values[key] = std::move(value);
    };
    const std::string host = HostOf(app_url);
    fill("smtp.hostname", host);
    fill("tracking.base_url", app_url);
    values["tracking.base_url"] = WithoutLastSlash(config_.Text("tracking.base_url"));
    fill("tracking.cname_target", HostOf(config_.Text("tracking.base_url")));
    if (config_.strict_ && !HasProblem(NameOf("tracking.base_url")) && Has("tracking.base_url") &&
        !base::StartsWithIgnoreCase(config_.Text("tracking.base_url"), "https://")) {
        Problem(NameOf("tracking.base_url"), "insecure", "must be https");
    }
    DeriveEgress(host);
    if (!secrets_.contains("database.url")) {
        secrets_.emplace(
            "database.url",
            base::Secret(base::Cat("sqlite:", config_.Text("app.data_dir"), "/opensend.db"))
        );
    }
}

void ConfigLoader::DeriveEgress(std::string_view) {
    auto ranges = config_.List("egress.allow_cidrs");
    for (const auto& range : ranges) {
        if (config_.strict_ && (range.starts_with("127.") || range.starts_with("::1"))) {
            Problem(
                NameOf("egress.allow_cidrs"), "bad_format", "loopback is for evaluation mode only"
            );
        }
    }
    if (!ParseBool(config_.Text("egress.allow_private")).value_or(false)) return;
    for (const char* range : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}) {
        ranges.emplace_back(range);
    }
    if (!config_.strict_) ranges.insert(ranges.end(), {"127.0.0.0/8", "::1"});
    config_.values_["egress.allow_cidrs"] = base::Join(ranges, ", ");
}

void ConfigLoader::CheckDataDir() {
    const std::string dir = config_.Text("app.data_dir");
    const std::string name = NameOf("app.data_dir");
    struct stat info {};
    if (::stat(dir.c_str(), &info) != 0) return;  // made at the end
    struct statfs system {};
    if (!S_ISDIR(info.st_mode)) {
        Problem(name, "unreadable_file", base::Cat(dir, ": not a folder"));
    } else if (!roles_.empty() && ::access(dir.c_str(), W_OK | X_OK) != 0) {
        Problem(name, "unreadable_file", base::Cat(dir, ": not writable"));
    } else if (::statfs(dir.c_str(), &system) == 0 &&
               std::find(
                   std::begin(kRemoteFileSystems), std::end(kRemoteFileSystems),
                   static_cast<int64_t>(system.f_type)
               ) != std::end(kRemoteFileSystems)) {
        Problem(name, "unreadable_file", base::Cat(dir, ": on the file system of another machine"));
    }
}

void ConfigLoader::FillDevSecrets() {
    if (needs_secrets_ || DevSecretKeys().empty()) return;
    const auto stored = ReadDevSecrets(config_.Text("app.data_dir"));
    if (!stored) return Problem(NameOf("app.data_dir"), "unreadable_file", stored.error());
    for (const auto& key : DevSecretKeys()) {
        const auto found = stored->find(DisplayName(*FindSetting(key)));
        if (found != stored->end()) secrets_.emplace(key, base::Secret(found->second));
    }
}

void ConfigLoader::MakeDataDir() {
    if (!sources_.may_write) return;
    const std::string dir = config_.Text("app.data_dir");
    const auto keys = needs_secrets_ ? std::vector<std::string>() : DevSecretKeys();
    if (!keys.empty()) {
        std::vector<std::string> names;
        for (const auto& key : keys) names.push_back(DisplayName(*FindSetting(key)));
        const auto made = MakeDevSecrets(dir, names);
        if (!made) return Problem(NameOf("app.data_dir"), "unreadable_file", made.error());
        for (const auto& key : keys) {
            const auto name = DisplayName(*FindSetting(key));
            secrets_.emplace(key, base::Secret(made->at(name)));
            config_.warnings_.push_back(base::Cat(
                name, ": generated in dev-secrets.env; this instance is for local evaluation only"
            ));
        }
    } else if (!roles_.empty()) {
        std::error_code error;
        if (std::filesystem::exists(dir, error)) return;
        std::filesystem::create_directories(dir, error);
        if (error) {
            return Problem(
                NameOf("app.data_dir"), "unreadable_file", base::Cat(dir, ": ", error.message())
            );
        }
        ::chmod(dir.c_str(), 0700);
    }
}

void ConfigLoader::DropUnread() {
    if (roles_.empty()) return;
    for (const auto& row : RoleMatrix()) {
        if (RolesWith(row.key, "Ro").empty()) secrets_.erase(std::string(row.key));
    }
}

void ConfigLoader::Problem(std::string name, std::string code, std::string text) {
    problems_.push_back({std::move(name), std::move(code), std::move(text)});
}

bool ConfigLoader::HasProblem(std::string_view name) const {
    return std::any_of(problems_.begin(), problems_.end(), [name](const auto& problem) {
        return problem.name == name;
    });
}

std::string ConfigLoader::NameOf(std::string_view key) const {
    const auto given = given_.find(std::string(key));
    if (given != given_.end()) return given->second.name;
    const auto* setting = FindSetting(key);
    return setting->IsFamily() ? std::string(key) : DisplayName(*setting);
}

bool ConfigLoader::Has(std::string_view key) const { return given_.contains(std::string(key)); }

std::string_view ConfigLoader::SecretText(std::string_view key) const {
    const auto found = secrets_.find(key);
    return found == secrets_.end() ? std::string_view() : found->second.Reveal();
}

std::vector<std::string> ConfigLoader::RolesWith(std::string_view key, std::string_view marks)
    const {
    std::vector<std::string> found;
    for (const auto& row : RoleMatrix()) {
        if (row.key != key) continue;
        for (size_t i = 0; i < AllRoles().size(); ++i) {
            if (HasRole(AllRoles()[i]) && marks.find(row.marks[i]) != std::string_view::npos) {
                found.push_back(AllRoles()[i]);
            }
        }
    }
    return found;
}

}  // namespace opensend::runtime
