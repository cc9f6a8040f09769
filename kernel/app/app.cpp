#include "kernel/app/app.h"

#include <algorithm>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"
#include "kernel/db/transaction.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"

namespace opensend::app {
namespace {

constexpr db::Query kForgetOldAnswers{
    "idempotency.expire", "DELETE FROM idempotency_records WHERE created_at < $1"};
constexpr std::string_view kRequestBuckets[] = {"org.api",   "key.api",   "org.send",
                                                "key.admin", "addr.anon", "addr.authfail"};

bool IsSqlite(const runtime::Config& config) {
    const auto url = config.SecretValue("DATABASE_URL");
    return url && url->Reveal().rfind("sqlite:", 0) == 0;
}

std::optional<ProcessLock> LockDatabase(const runtime::Config& config) {
    if (!IsSqlite(config)) return std::nullopt;
    const auto url = config.SecretValue("DATABASE_URL");
    return std::optional<ProcessLock>(
        std::in_place, base::Cat(url->Reveal().substr(std::string_view("sqlite:").size()), ".lock")
    );
}

access::RateGate::OnFailure OnFailure(const runtime::Config& config) {
    const std::string policy = config.Text("ratelimit.on_store_failure");
    if (policy == "open") return access::RateGate::OnFailure::kOpen;
    if (policy == "closed") return access::RateGate::OnFailure::kClosed;
    return access::RateGate::OnFailure::kLocal;
}

/// Host part of an application URL.
std::string HostOf(const std::string& url) {
    const size_t start = url.find("://");
    if (start == std::string::npos) return {};
    return url.substr(start + 3, url.find_first_of(":/", start + 3) - start - 3);
}

delivery::DeliveryPolicy PolicyOf(const runtime::Config& config) {
    delivery::DeliveryPolicy policy;
    policy.max_age = config.Span("send.max_age");
    policy.unknown_wait = config.Span("send.unknown_wait");
    const std::string unknown = config.Text("send.unknown_policy");
    if (unknown == "hold") policy.unknown = delivery::DeliveryPolicy::Unknown::kHold;
    if (unknown == "assume_sent") policy.unknown = delivery::DeliveryPolicy::Unknown::kAssumeSent;
    return policy;
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

}  // namespace

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

std::vector<base::Cidr> CidrsOf(const std::vector<std::string>& texts) {
    std::vector<base::Cidr> out;
    for (const std::string& text : texts) {
        if (const auto cidr = base::ParseCidr(text)) out.push_back(*cidr);
    }
    return out;
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

plugin::HostConfig PluginHostConfig(const runtime::Config& config) {
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
        if (const auto grants = config.Below(base::Cat(prefix, "grants.")); !grants.empty()) {
            auto parsed = plugin::ParseGrants(grants);
            plugin.grants = parsed.ok() ? std::move(*parsed) : plugin::Grants{};
            if (!parsed.ok()) plugin.refused = parsed.error();
        }
        out.plugins.push_back(std::move(plugin));
    }
    for (const auto& spec : config.Transports()) {
        out.transports.push_back({spec.name, spec.kind, spec.plugin, spec.config_json});
    }
    out.auth_backends = config.List("auth.backends");
    out.ratelimit_backend = config.Text("ratelimit.backend");
    // A copy: instances ask the configuration that they were made from.
    const auto kept = std::make_shared<const runtime::Config>(config);
    out.secret = [kept](std::string_view reference) { return kept->ResolveSecret(reference); };
    return out;
}

App::App(
    const runtime::Config& config,
    const std::set<std::string>& roles,
    bool migrate,
    ReadConfig read_config
)
    : config_(config),
      roles_(roles),
      read_config_(std::move(read_config)),
      lock_(LockDatabase(config)),
      storage_(
          config,
          migrate || !config.strict() ? Storage::Migrations::kApply : Storage::Migrations::kRequire
      ),
      keys_(*storage_.pool, *storage_.instance_keys, storage_.clock),
      senders_(*storage_.pool, storage_.clock),
      idempotency_(storage_.keyring, storage_.random) {
    blobs_ = std::make_unique<blob::FsBlobStore>(
        base::Cat(config.Text("app.data_dir"), "/blobs"), crypto::Sha256
    );
    dns::Resolver::Options dns_options;
    dns_options.servers = config.List("dns.servers");
    dns_options.timeout =
        std::chrono::duration_cast<std::chrono::milliseconds>(config.Span("egress.dns_timeout"));
    resolver_ = std::make_unique<dns::Resolver>(std::move(dns_options), storage_.clock);
    guard_ =
        std::make_unique<egress::Guard>(EgressRulesOf(config), [this](const std::string& host) {
            return resolver_->ResolveAll(host);
        });
    http_client_ = std::make_unique<egress::Client>(egress::Client::Options{});

    plugin::HostDeps deps;
    deps.clock = &storage_.clock;
    deps.credentials = &keys_;
    deps.secret = [&config](std::string_view reference) { return config.ResolveSecret(reference); };
    deps.log = LogPlugin;
    plugin_kv_ = std::make_unique<plugin_kv::DbKvStore>(*storage_.pool, storage_.clock);
    deps.kv = plugin_kv_.get();
    deps.http = http_client_.get();
    deps.guard = guard_.get();
    deps.resolve = [this](const std::string& host) { return resolver_->ResolveAll(host); };
    deps.breakers = &breakers_;
    plugins_ = std::make_unique<plugin::Host>(PluginHostConfig(config), deps);
    for (const auto& status : plugins_->plugins()) {
        runtime::SetGauge("opensend_plugin_up", {status.name}, status.up ? 1 : 0);
        if (!status.up) {
            OPENSEND_LOG(
                kError, "plugin.refused", "a plugin is off", kv("plugin", status.name),
                kv("problem", status.problem)
            );
        }
    }
    const auto fatal = plugins_->fatal_problems();
    if (!fatal.empty()) {
        throw base::Error(
            base::ErrorCode::kForbidden,
            base::Cat("a required plugin is not available: ", fatal.front())
        );
    }
    monitor_ =
        std::make_unique<health::HealthMonitor>(*storage_.pool, [this] { return MoreChecks(); });
    access_ =
        std::make_unique<access::AccessControl>(plugins_->authenticator(), keys_, storage_.clock);
    rates_ = std::make_unique<access::RateGate>(
        plugins_->limiter(), plugins_->local_limiter(), RateNumbersOf(config_), OnFailure(config_)
    );
    health_api_ = std::make_unique<health::HealthApi>(*monitor_);
    if (roles_.contains("worker")) StartWorkers();
    if (roles_.contains("api")) StartApi();
    housekeeping_ =
        std::make_unique<runtime::Worker>("housekeeping", [this](runtime::StopToken& stop) {
            while (stop.SleepFor(std::chrono::seconds(10)), !stop.stopped()) {
                keys_.FlushUses();
                db::Transaction tx(*storage_.pool, db::Plane::kDashboard);
                tx.Change(kForgetOldAnswers, {storage_.clock.Now() - std::chrono::hours(24)});
                tx.Commit();
            }
        });
    for (const std::string& role : roles_) runtime::SetGauge("opensend_up_roles", {role}, 1);
    AddReloads();
    StartAdmin();
}

App::~App() {
    Drain(std::chrono::milliseconds(0));
    try {
        keys_.FlushUses();
    } catch (const base::Error& error) {
        OPENSEND_LOG(
            kWarn, "app.flush_failed", "uses of keys were not stored", kv("detail", error.what())
        );
    }
}

void App::StartWorkers() {
    const bool single = IsSqlite(config_);
    webhook_sender_ = std::make_unique<webhook_delivery::WebhookSender>(
        webhook_delivery::WebhookSender::Deps{
            *storage_.pool, storage_.keyring, *guard_, *http_client_, storage_.ids, storage_.random,
            storage_.clock},
        webhook_delivery::WebhookSender::Options{
            .timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
                config_.Span("webhooks.timeout")
            ),
            .per_endpoint = static_cast<size_t>(config_.Int("webhooks.endpoint_concurrency")),
            .max_in_flight = static_cast<size_t>(config_.Int("webhooks.workers")),
            .single_process = single}
    );
    sequencer_ = std::make_unique<sequencer::Sequencer>(
        *storage_.pool, storage_.ids, storage_.clock, [this] { webhook_sender_->Wake(); }
    );
    routes_ = std::make_unique<delivery::RoutePlanner>(RouteGroupsOf(config_), &breakers_, "transport.");
    builder_ = std::make_unique<delivery::MailBuilder>(delivery::MailBuilder::Deps{
        *storage_.pool, *blobs_, storage_.keyring, *guard_, *http_client_, storage_.clock});
    dispatcher_ = std::make_unique<delivery::Dispatcher>(
        delivery::Dispatcher::Deps{
            *storage_.pool, *routes_,
            [this](const std::string& name) { return plugins_->FindTransport(name); }, *builder_,
            storage_.ids, storage_.random, storage_.clock, [this] { sequencer_->Wake(); }},
        delivery::Dispatcher::Options{
            .policy = PolicyOf(config_),
            .lease = config_.Span("send.lease"),
            .single_process = single,
            .journal_path = base::Cat(config_.Text("app.data_dir"), "/outcomes.log")}
    );
}

void App::StartApi() {
    acceptor_ = std::make_unique<emails::Acceptor>(
        *storage_.pool, senders_, idempotency_, *blobs_, storage_.ids, storage_.clock,
        [this] {
            if (dispatcher_) dispatcher_->Wake();
        },
        emails::Acceptor::Options{}
    );
    domain_factory_ =
        std::make_unique<domains::DomainFactory>(storage_.keyring, storage_.random, storage_.ids);
    domains::DomainsApi::Options domain_options;
    domain_options.sources.inbound_mx_host = config_.Text("inbound.mx_host");
    domain_options.sources.tracking_cname_target = config_.Text("tracking.cname_target");
    for (const auto& transport : config_.Transports()) {
        const auto keys = config_.Below(base::Cat("transport.", transport.name, '.'));
        if (const auto spf = keys.find("spf"); spf != keys.end()) {
            domain_options.sources.spf.push_back(spf->second);
        }
    }
    domain_options.own_hosts = {
        HostOf(config_.Text("app.url")), config_.Text("smtp.hostname"),
        config_.Text("inbound.mx_host")};
    domains_api_ = std::make_unique<domains::DomainsApi>(
        *storage_.pool, *domain_factory_, senders_, idempotency_, storage_.ids,
        std::move(domain_options)
    );
    api_keys_api_ = std::make_unique<api_keys::ApiKeysApi>(
        *storage_.pool, *storage_.instance_keys, keys_, idempotency_, storage_.ids, storage_.random
    );
    webhooks_api_ = std::make_unique<webhooks::WebhooksApi>(
        *storage_.pool, storage_.keyring, *guard_, idempotency_, storage_.ids, storage_.random
    );
    emails_api_ = std::make_unique<emails::EmailsApi>(
        *storage_.pool, *acceptor_, idempotency_, *rates_, *blobs_,
        emails::EmailsApi::Options{
            config_.strict(), static_cast<size_t>(config_.Int("send.max_attachment_b64_bytes"))}
    );
    // The mount list: one line per resource.
    emails_api_->Mount(router_);
    domains_api_->Mount(router_);
    api_keys_api_->Mount(router_);
    webhooks_api_->Mount(router_);
    health_api_->Mount(router_);

    const auto trusted = CidrsOf(config_.List("net.trusted_proxies"));
    filters_ = std::make_unique<api::Filters>(
        router_, *access_, *rates_, storage_.ids, storage_.clock,
        api::Filters::Options{
            .listener = "api",
            .trusted_proxies = trusted,
            .https = config_.Text("app.url").rfind("https://", 0) == 0}
    );
    http::ServerOptions options;
    options.name = "api";
    options.bind = config_.List("api.bind");
    options.port = static_cast<uint16_t>(config_.Int("api.port"));
    options.max_connections = static_cast<size_t>(config_.Int("http.max_connections"));
    options.max_connections_per_address =
        static_cast<size_t>(config_.Int("http.max_connections_per_address"));
    options.uncapped_peers = trusted;
    server_ = std::make_unique<http::Server>(
        options, [this](const http::Request& head) { return filters_->OnHead(head); },
        [this](http::Request&& request, http::Reply reply) {
            filters_->OnRequest(std::move(request), std::move(reply));
        },
        [this](int status, std::string_view code, std::string_view reason) {
            return filters_->OnFramingError(status, code, reason);
        }
    );
}

uint16_t App::api_port() const { return server_ ? server_->port() : 0; }

void App::Drain(std::chrono::milliseconds grace) {
    if (monitor_) monitor_->SetDraining();
    if (server_) server_->Stop(grace);
    control_.reset();
}

std::vector<health::Check> App::MoreChecks() const {
    std::vector<health::Check> checks;
    checks.push_back({"rate_limit", plugins_->limiter() != nullptr ? "ok" : "warn"});
    checks.push_back({"blob_store", "ok"});
    checks.push_back({"queue", "ok"});
    bool any_transport = false;
    bool capture = false;
    for (const auto& transport : plugins_->transports()) {
        any_transport = any_transport || transport.up;
        capture = capture || (transport.up && transport.kind == "capture");
    }
    checks.push_back({"transports", any_transport && !capture ? "ok" : "warn"});
    const auto plugins = plugins_->plugins();
    const bool all_up =
        std::all_of(plugins.begin(), plugins.end(), [](const auto& p) { return p.up; });
    checks.push_back({"plugins", all_up ? "ok" : "warn"});
    return checks;
}

}  // namespace opensend::app
