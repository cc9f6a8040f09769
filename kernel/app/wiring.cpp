#include "kernel/app/wiring.h"

#include <algorithm>
#include <memory>

#include "kernel/base/text.h"
#include "kernel/plugin/worker/process.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/settings/values.h"

namespace opensend::app {
namespace {

constexpr std::string_view kRequestBuckets[] = {
    "org.api", "key.api", "org.send", "key.admin", "org.export", "addr.anon", "addr.authfail"};

}  // namespace

bool IsSqlite(const runtime::Config& config) {
    const auto url = config.SecretValue("DATABASE_URL");
    return url && url->Reveal().rfind("sqlite:", 0) == 0;
}

std::vector<base::Cidr> CidrsOf(const std::vector<std::string>& texts) {
    std::vector<base::Cidr> out;
    for (const std::string& text : texts) {
        if (const auto cidr = base::ParseCidr(text)) out.push_back(*cidr);
    }
    return out;
}

std::map<std::string, access::BucketNumbers, std::less<>> RateNumbersOf(
    const runtime::Config& config
) {
    std::map<std::string, access::BucketNumbers, std::less<>> table;
    for (const std::string_view name : kRequestBuckets) {
        const auto numbers = config.RateBucket(name);
        table[std::string(name)] = {
            std::max<uint64_t>(1, numbers.period_us / numbers.count), numbers.burst};
    }
    return table;
}

std::vector<delivery::RouteGroup> RouteGroupsOf(const runtime::Config& config) {
    std::vector<delivery::RouteGroup> groups;
    for (const auto& spec : config.Groups()) {
        delivery::RouteGroup group{spec.name, {}, spec.domains, spec.streams, spec.orgs};
        for (const auto& member : spec.members) {
            group.members.push_back({member.transport, member.weight, member.priority});
        }
        groups.push_back(std::move(group));
    }
    return groups;
}

std::map<std::string, delivery::Pace> PacesOf(const runtime::Config& config) {
    std::map<std::string, delivery::Pace> paces;
    for (const auto& spec : config.Transports()) {
        paces[spec.name] = {
            spec.rate_count, std::chrono::microseconds(spec.rate_period_us), spec.concurrency};
    }
    return paces;
}

plugin::AnswerBoard::Rules AnswersOf(const runtime::Config& config) {
    plugin::AnswerBoard::Rules rules;
    for (auto& spec : config.Transports()) rules[spec.name] = std::move(spec.answers);
    return rules;
}

egress::Rules EgressRulesOf(const runtime::Config& config) {
    egress::Rules rules;
    rules.allow = CidrsOf(config.List("egress.allow_cidrs"));
    rules.ports.clear();
    for (const std::string& port : config.List("egress.ports")) {
        rules.ports.push_back(static_cast<int>(base::ParseInt(port).value_or(0)));
    }
    rules.https_only = config.Bool("egress.https_only");
    rules.allow_loopback = !config.strict();
    for (const std::string_view key :
         {"api.port", "ingester.port", "admin.port", "smtp.port", "smtp.tls_port"}) {
        rules.own_ports.push_back(static_cast<int>(config.Int(key)));
    }
    return rules;
}

std::shared_ptr<const plugin::GatePolicy> PluginPolicy(const runtime::Config& config) {
    plugin::GatePolicy policy;
    policy.dir = config.Text("plugins.dir");
    policy.trusted_keys = config.List("plugins.trusted_keys");
    policy.allowed_libraries = config.List("plugins.allowed_libraries");
    policy.experimental = config.List("plugins.experimental");
    policy.sealed = config.Bool("plugins.sealed");
    policy.scan_program = {"/proc/self/exe", "plugins", "scan-worker"};
    policy.verdicts = base::Cat(config.Text("app.data_dir"), "/plugins/verdicts");
    policy.server_version = OPENSEND_VERSION;
    return std::make_shared<const plugin::GatePolicy>(std::move(policy));
}

std::string HostOf(const std::string& url) {
    const size_t start = url.find("://");
    if (start == std::string::npos) return {};
    return url.substr(start + 3, url.find_first_of(":/", start + 3) - start - 3);
}

namespace {

/// tracking.cname_target, else the host that tracking links have.
std::string TrackingHost(const runtime::Config& config) {
    if (const std::string target = config.Text("tracking.cname_target"); !target.empty()) {
        return target;
    }
    const std::string links = config.Text("tracking.base_url");
    const std::string host = HostOf(links.empty() ? config.Text("app.url") : links);
    // Nobody else can follow a name of this machine.
    return host == "localhost" || base::ParseIp(host) ? std::string() : host;
}

}  // namespace

domains::RecordCatalog RecordCatalogOf(const runtime::Config& config) {
    domains::RecordSources common;
    common.inbound_mx_host = config.Text("inbound.mx_host");
    common.tracking_cname_target = TrackingHost(config);
    std::vector<domains::RecordCatalog::Transport> transports;
    for (const auto& spec : config.Transports()) {
        const auto keys = config.Below(base::Cat("transport.", spec.name, '.'));
        const auto spf = keys.find("spf");
        transports.push_back({spec.name, spec.kind, spf == keys.end() ? "" : spf->second});
    }
    std::vector<domains::RecordCatalog::Group> groups;
    for (const auto& spec : config.Groups()) {
        domains::RecordCatalog::Group group;
        for (const auto& member : spec.members) group.transports.push_back(member.transport);
        group.orgs = spec.orgs;
        groups.push_back(std::move(group));
    }
    return {std::move(common), std::move(transports), std::move(groups)};
}

domain_checks::DomainChecker::Options CheckOptions(const runtime::Config& config) {
    domain_checks::DomainChecker::Options options;
    options.keep_forced = !config.strict();
    options.takeover_cooloff = config.Span("domains.takeover_cooloff");
    return options;
}

std::vector<std::string> OwnHosts(const runtime::Config& config) {
    return {
        HostOf(config.Text("app.url")), config.Text("smtp.hostname"),
        config.Text("inbound.mx_host"), TrackingHost(config)};
}

plugin::HostConfig PluginHostConfig(const runtime::Config& config) {
    const auto policy = PluginPolicy(config);
    plugin::HostConfig out;
    out.dir = config.Text("plugins.dir");
    for (const std::string& name : config.List("plugins.enabled")) {
        plugin::PluginConfig plugin;
        const std::string prefix = base::Cat("plugins.", name, '.');
        const auto keys = config.Below(prefix);
        const auto value = [&](const char* key) {
            const auto found = keys.find(key);
            return found == keys.end() ? std::string() : found->second;
        };
        plugin.name = name;
        plugin.file = value("file");
        plugin.sha256 = value("sha256");
        plugin.required = value("required") == "true";
        plugin.config_json = config.PluginConfigJson(name);
        plugin.isolation = value("isolation");
        plugin.memory = static_cast<uint64_t>(runtime::ParseSize(value("memory")).value_or(0));
        if (const auto grants = config.Below(base::Cat(prefix, "grants.")); !grants.empty()) {
            auto parsed = plugin::ParseGrants(grants);
            plugin.grants = parsed.ok() ? std::move(*parsed) : plugin::Grants{};
            if (!parsed.ok()) plugin.refused = parsed.error();
        }
        plugin.written_grants = config.Below(prefix + "grants.");
        plugin.policy = policy;
        out.plugins.push_back(std::move(plugin));
    }
    for (const auto& spec : config.Transports()) {
        out.transports.push_back({spec.name, spec.kind, spec.plugin, spec.config_json});
    }
    out.auth_backends = config.List("auth.backends");
    out.ratelimit_backend = config.Text("ratelimit.backend");
    out.worker_path = plugin::worker::FindProgram(config.Text("plugins.worker_path"));
    // A copy: instances ask the configuration that they were made from.
    const auto kept = std::make_shared<const runtime::Config>(config);
    out.secret = [kept](std::string_view reference) { return kept->ResolveSecret(reference); };
    return out;
}

void LogPlugin(
    int level,
    const std::string& instance,
    std::string_view message,
    const std::vector<std::pair<std::string, std::string>>& fields
) {
    std::string detail;
    for (const auto& [name, value] : fields) detail += base::Cat(name, '=', value, ' ');
    if (level >= 4) {
        OPENSEND_LOG(kError, "plugin.log", message, kv("instance", instance), kv("fields", detail));
    } else if (level == 3) {
        OPENSEND_LOG(kWarn, "plugin.log", message, kv("instance", instance), kv("fields", detail));
    } else {
        OPENSEND_LOG(kDebug, "plugin.log", message, kv("instance", instance), kv("fields", detail));
    }
}

}  // namespace opensend::app
