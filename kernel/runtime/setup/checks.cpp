#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "kernel/base/cidr.h"
#include "kernel/base/text.h"
#include "kernel/runtime/settings/values.h"
#include "kernel/runtime/setup/loader.h"
#include "kernel/runtime/setup/secret_rules.h"

namespace opensend::runtime {
namespace {

constexpr std::string_view kDatabase = "database.url";
constexpr std::string_view kRedis = "ratelimit.redis_url";

bool IsWellKnownPassword(std::string_view password) {
    for (const char* known :
         {"", "opensend", "postgres", "password", "changeme", "admin", "root"}) {
        if (base::EqualsIgnoreCase(password, known)) return true;
    }
    return false;
}

/// Why a file or folder is open to others; empty: it is not, or does not exist.
std::string OpenToOthers(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return {};
    if (info.st_uid != ::geteuid()) return "not owned by the user of this process";
    return (info.st_mode & 07) != 0 ? "other users can reach it" : "";
}

std::string WithoutPort(std::string_view host) {
    if (!host.empty() && host.front() == '[')
        return std::string(host.substr(1, host.find(']') - 1));
    return std::string(host.substr(0, host.find(':')));
}

}  // namespace

void ConfigLoader::CheckDatabase() {
    const std::string name = NameOf(kDatabase);
    const auto text = SecretText(kDatabase);
    if (HasProblem(name)) return;
    const bool sqlite = text.starts_with("sqlite:");
    if (sqlite) {
        CheckSqlite(text.substr(7));
    } else {
        const auto url = ParseConfigUrl(text, true);
        if (!url) return Problem(name, "bad_url", url.error());
        if (url->scheme != "postgres" && url->scheme != "postgresql") {
            return Problem(
                name, "bad_url", "must begin with sqlite:, postgres:// or postgresql://"
            );
        }
        CheckPostgres(*url);
    }
    if (sqlite && base::ParseInt(config_.Text("app.replicas")).value_or(1) > 1) {
        Problem(
            NameOf("app.replicas"), "conflict", base::Cat("set together with an SQLite ", name)
        );
    }
}

void ConfigLoader::CheckPostgres(const ConfigUrl& url) {
    const std::string name = NameOf(kDatabase);
    if (url.has_fragment) return Problem(name, "bad_url", "no fragment is allowed");
    if (!config_.strict_) return;
    const auto password = url.password ? url.password : url.Parameter("password");
    const bool weak_allowed =
        ParseBool(config_.Text("database.allow_weak_password")).value_or(false);
    if (!weak_allowed && IsWellKnownPassword(password.value_or(""))) {
        return Problem(name, "weak", "value is guessable");
    }
    CheckPostgresHosts(url);
}

void ConfigLoader::CheckPostgresHosts(const ConfigUrl& url) {
    const std::string name = NameOf(kDatabase);
    // A host parameter replaces that of the authority.
    const auto hosts = base::SplitList(url.Parameter("host").value_or(url.authority));
    const auto addresses = base::SplitList(url.Parameter("hostaddr").value_or(""));
    const auto is_near = [](const std::string& host) {
        const auto bare = WithoutPort(host);
        return bare.starts_with("/") || bare.starts_with("%2") || bare.starts_with("@") ||
               IsPrivateHost(bare);
    };
    const bool all_near = std::all_of(hosts.begin(), hosts.end(), is_near) &&
                          std::all_of(addresses.begin(), addresses.end(), is_near);
    if (all_near) return;
    const auto mode = url.Parameter("sslmode");
    if (mode && *mode != "verify-full") {
        return Problem(
            name, "insecure", "sslmode must be verify-full for a host that is not private"
        );
    }
    if (mode) return;
    std::string text(SecretText(kDatabase));
    text += text.find('?') == std::string::npos ? "?" : "&";
    text += "sslmode=verify-full";
    secrets_.insert_or_assign(std::string(kDatabase), base::Secret(std::move(text)));
}

void ConfigLoader::CheckSqlite(std::string_view path) {
    const std::string name = NameOf(kDatabase);
    if (path.empty()) return Problem(name, "bad_url", "no path after sqlite:");
    if (path.find_first_of("?#") != std::string_view::npos) {
        return Problem(name, "bad_url", "a path without ? and #");
    }
    if (!config_.strict_ || path == ":memory:") return;
    const std::string file(path);
    const size_t slash = file.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash + 1);
    for (const auto& each : {file, folder}) {
        if (const auto reason = OpenToOthers(each); !reason.empty()) {
            return Problem(name, "unreadable_file", base::Cat(each, ": ", reason));
        }
    }
}

void ConfigLoader::CheckRedis() {
    const std::string name = NameOf(kRedis);
    const auto url = ParseConfigUrl(SecretText(kRedis));
    if (!url) return Problem(name, "bad_url", url.error());
    if (url->scheme != "redis" && url->scheme != "rediss") {
        return Problem(name, "bad_url", "must begin with redis:// or rediss://");
    }
    if (url->host.empty()) return Problem(name, "bad_url", "no host");
    const auto number = url->path.size() > 1 ? base::ParseInt(url->path.substr(1)) : 0;
    if (!number || *number < 0) return Problem(name, "bad_url", "the path is a database number");
    if (config_.strict_ && url->scheme == "redis" && !IsPrivateHost(url->host)) {
        Problem(name, "insecure", "use rediss:// for a host that is not private");
    }
}

void ConfigLoader::CheckRateLimiter() {
    const auto enabled = config_.List("plugins.enabled");
    const auto is_enabled = [&enabled](std::string_view plugin) {
        return std::find(enabled.begin(), enabled.end(), plugin) != enabled.end();
    };
    const std::string backend = config_.Text("ratelimit.backend");
    std::vector<std::string> kinds = {"memory", "redis", "disabled"};
    kinds.insert(kinds.end(), sources_.rate_limit_kinds.begin(), sources_.rate_limit_kinds.end());
    const auto known = base::SplitList(FindSetting("plugins.enabled")->fallback);
    bool good = std::find(kinds.begin(), kinds.end(), backend) != kinds.end() ||
                backend == "memory_limit" || backend == "redis_limit";
    // The kinds of a foreign plugin are not known before it is loaded; its own name is.
    good = good ||
           (is_enabled(backend) && std::find(known.begin(), known.end(), backend) == known.end());
    if (!good && !HasProblem(NameOf("ratelimit.backend"))) {
        Problem(
            NameOf("ratelimit.backend"), "unknown_value",
            base::Cat("\"", backend, "\" is not one of ", base::Join(kinds, ", "))
        );
    }
    if (!is_enabled("memory_limit")) {
        Problem(NameOf("plugins.enabled"), "missing", "memory_limit is always needed");
    }
    if (backend == "disabled" && config_.strict_) {
        config_.warnings_.push_back(base::Cat(
            NameOf("ratelimit.backend"),
            ": organizations, keys and addresses have no limits; failed credentials still have"
        ));
    }
    // SQLite with replicas was refused before.
    if ((backend == "memory" || backend == "memory_limit") &&
        base::ParseInt(config_.Text("app.replicas")).value_or(1) > 1) {
        config_.warnings_.push_back(base::Cat(
            NameOf("ratelimit.backend"),
            ": limits in memory are counted by each of the processes apart (app.replicas)"
        ));
    }
    if (secrets_.contains(kRedis)) CheckRedis();
    if (backend != "redis" && backend != "redis_limit") return;
    if (!is_enabled("redis_limit")) {
        Problem(NameOf("plugins.enabled"), "missing", "redis_limit is needed by the backend");
    }
    const auto roles = RolesWith(kRedis, "Ro");
    if (!roles.empty() && !secrets_.contains(kRedis) && !HasProblem(NameOf(kRedis))) {
        Problem(
            NameOf(kRedis), "missing", base::Cat("required by role(s) ", base::Join(roles, ", "))
        );
    }
}

void ConfigLoader::CheckPairs() {
    constexpr std::pair<const char*, const char*> kPairs[] = {
        {"google.client_id",  "google.client_secret" },
        {"bootstrap.email",   "bootstrap.password"   },
        {"aws.access_key_id", "aws.secret_access_key"},
        {"api.tls_cert",      "api.tls_key"          },
        {"ingester.tls_cert", "ingester.tls_key"     },
        {"smtp.tls_cert",     "smtp.tls_key"         },
    };
    for (const auto& [first, second] : kPairs) {
        if (Has(first) == Has(second)) continue;
        const auto *given = Has(first) ? first : second, *other = Has(first) ? second : first;
        Problem(NameOf(given), "conflict", base::Cat("only set together with ", NameOf(other)));
    }
    CheckCertificates("api", false);
    CheckCertificates("ingester", false);
    const bool listens = base::ParseInt(config_.Text("smtp.port")).value_or(1) != 0 ||
                         base::ParseInt(config_.Text("smtp.tls_port")).value_or(1) != 0;
    CheckCertificates("smtp", config_.strict_ && HasRole("smtp") && listens);
}

void ConfigLoader::CheckCertificates(const std::string& listener, bool needed) {
    const std::string cert_key = listener + ".tls_cert", key_key = listener + ".tls_key";
    const auto cert = config_.Text(cert_key), key = config_.Text(key_key);
    if (cert.empty() && key.empty()) {
        if (needed) Problem(NameOf(cert_key), "tls", "no certificate: required by role(s) smtp");
        return;
    }
    // Only the roles that serve the listener must be able to read its files.
    if (cert.empty() || key.empty() || !HasRole(listener)) return;
    for (const auto& which : {cert_key, key_key}) {
        const auto path = config_.Text(which);
        struct stat info {};
        if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) ||
            ::access(path.c_str(), R_OK) != 0) {
            return Problem(NameOf(which), "tls", base::Cat(path, ": not a readable file"));
        }
    }
    if (!sources_.check_tls) return;
    const auto reason = sources_.check_tls(cert, key);
    if (!reason.empty()) Problem(NameOf(cert_key), "tls", base::Cat(cert, ": ", reason));
}

void ConfigLoader::CheckListeners() {
    const auto binds = config_.List("admin.bind");
    const bool loopback = std::all_of(binds.begin(), binds.end(), IsLocalHost);
    if (!loopback && !secrets_.contains(std::string_view("admin.metrics_token")) &&
        !HasProblem("admin.metrics_token")) {
        Problem("admin.metrics_token", "missing", "required when admin.bind is not loopback");
    }
    if (config_.strict_ && Has("smtp.allow_insecure_auth") &&
        config_.Text("smtp.allow_insecure_auth") == "loopback") {
        Problem(
            NameOf("smtp.allow_insecure_auth"), "insecure", "loopback is for evaluation mode only"
        );
    }
}

void ConfigLoader::CheckTransports() {
    const auto names = config_.List("transport.names");
    const bool listed_default = std::find(names.begin(), names.end(), "default") != names.end();
    if (Has("transport.default_url")) {
        const auto name = NameOf("transport.default_url");
        const auto url = ParseConfigUrl(SecretText("transport.default_url"));
        if (!url && !HasProblem(name)) Problem(name, "bad_url", url.error());
        if (listed_default) {
            Problem(name, "conflict", "set together with default in transport.names");
        }
    }
    for (size_t i = 0; i < names.size(); ++i) {
        if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
            names.begin() + static_cast<std::ptrdiff_t>(i)) {
            Problem(NameOf("transport.names"), "duplicate", base::Cat(names[i], " stands twice"));
        }
        CheckTransport(names[i]);
    }
    for (const auto& [key, given] : given_) {
        const auto parts = base::Split(key, '.');
        if (parts[0] != "transport" || parts.size() < 3 || parts[1] == "default") continue;
        if (std::find(names.begin(), names.end(), parts[1]) == names.end()) {
            config_.warnings_.push_back(
                base::Cat(given.name, ": no effect, transport.names has no ", parts[1])
            );
        }
    }
}

void ConfigLoader::CheckTransport(const std::string& name) {
    const std::string url_key = base::Cat("transport.", name, ".url");
    const std::string plugin_key = base::Cat("transport.", name, ".plugin");
    if (Has(url_key) && Has(plugin_key)) {
        return Problem(
            NameOf(url_key), "conflict", base::Cat("set together with ", NameOf(plugin_key))
        );
    }
    if (!Has(url_key) && !Has(plugin_key)) {
        if (name == "default" && Has("transport.default_url")) return;
        return Problem(url_key, "missing", base::Cat("the transport has no URL and no plugin"));
    }
    if (!Has(url_key) || HasProblem(NameOf(url_key))) return;
    const auto url = ParseConfigUrl(SecretText(url_key));
    if (!url) return Problem(NameOf(url_key), "bad_url", url.error());
    if (!IsConfigName(url->scheme)) Problem(NameOf(url_key), "bad_url", "the scheme names no kind");
}

void ConfigLoader::CheckGroups() {
    auto names = config_.List("transport.names");
    if (Has("transport.default_url")) names.emplace_back("default");
    for (const auto& [key, given] : given_) {
        if (!key.starts_with("group.") || !key.ends_with(".members") || HasProblem(given.name)) {
            continue;
        }
        for (const auto& part : base::SplitList(given.value)) {
            const auto member = ParseMember(part);
            if (!member ||
                std::find(names.begin(), names.end(), member->transport) != names.end()) {
                continue;
            }
            Problem(
                given.name, "unknown_value",
                base::Cat(
                    "\"", member->transport, "\" is not one of ",
                    names.empty() ? "the transports, there is none" : base::Join(names, ", ")
                )
            );
        }
    }
}

void ConfigLoader::CheckReferences() {
    if (roles_.empty()) return;
    for (const auto& [key, value] : config_.values_) {
        const auto* setting = FindSetting(key);
        if (!setting->IsFamily() || !setting->key.ends_with(".config.*")) continue;
        // The files of a transport are the worker's; another role may run without them.
        if (key.starts_with("transport.") && !HasRole("worker")) continue;
        std::string path;
        bool owner_only = false;
        if (value.starts_with("file:")) {
            path = std::string(base::Trim(std::string_view(value).substr(5)));
        } else if (value.starts_with("secret:")) {
            const auto named =
                NamedSecretPath(config_.Text("secrets.dir"), std::string_view(value).substr(7));
            if (!named) {
                Problem(NameOf(key), "bad_format", "secret: is followed by a file name");
                continue;
            }
            path = *named;
            owner_only = true;
        } else {
            continue;
        }
        const auto text = ReadSecretFile(path, config_.strict_, owner_only);
        if (!text) Problem(NameOf(key), "unreadable_file", text.error());
    }
}

}  // namespace opensend::runtime
