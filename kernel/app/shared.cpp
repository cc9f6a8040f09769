#include "kernel/app/shared.h"

#include "kernel/app/wiring.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"

namespace opensend::app {
namespace {

access::RateGate::OnFailure OnFailure(const runtime::Config& config) {
    const std::string policy = config.Text("ratelimit.on_store_failure");
    if (policy == "open") return access::RateGate::OnFailure::kOpen;
    if (policy == "closed") return access::RateGate::OnFailure::kClosed;
    return access::RateGate::OnFailure::kLocal;
}

void ReportPlugins(const plugin::Host& plugins) {
    for (const auto& status : plugins.plugins()) {
        runtime::SetGauge("opensend_plugin_up", {status.name}, status.up ? 1 : 0);
        if (!status.up) {
            OPENSEND_LOG(
                kError, "plugin.refused", "a plugin is off", kv("plugin", status.name),
                kv("problem", status.problem)
            );
        }
    }
    const auto fatal = plugins.fatal_problems();
    if (!fatal.empty()) {
        throw base::Error(
            base::ErrorCode::kForbidden,
            base::Cat("a required plugin is not available: ", fatal.front())
        );
    }
}

}  // namespace

Shared::Shared(const runtime::Config& given, Storage::Migrations migrations)
    : config(given),
      storage(config, migrations),
      keys(*storage.pool, *storage.instance_keys, storage.clock),
      senders(*storage.pool, storage.clock),
      idempotency(storage.keyring, storage.random) {
    blobs = std::make_unique<blob::FsBlobStore>(
        base::Cat(config.Text("app.data_dir"), "/blobs"), crypto::Sha256
    );
    dns::Resolver::Options dns_options;
    dns_options.servers = config.List("dns.servers");
    dns_options.timeout =
        std::chrono::duration_cast<std::chrono::milliseconds>(config.Span("egress.dns_timeout"));
    resolver = std::make_unique<dns::Resolver>(std::move(dns_options), storage.clock);
    guard = std::make_unique<egress::Guard>(EgressRulesOf(config), [this](const std::string& host) {
        return resolver->ResolveAll(host);
    });
    egress::Client::Options client;
    // Endpoints of many tenants may share a host: its slow ones must not fill it up.
    client.max_connections_per_host = static_cast<int>(config.Int("webhooks.workers"));
    http_client = std::make_unique<egress::Client>(client);

    plugin::HostDeps deps;
    deps.clock = &storage.clock;
    deps.credentials = &keys;
    deps.secret = [this](std::string_view reference) { return config.ResolveSecret(reference); };
    deps.log = LogPlugin;
    plugin_kv = std::make_unique<plugin_kv::DbKvStore>(*storage.pool, storage.clock);
    deps.kv = plugin_kv.get();
    deps.http = http_client.get();
    deps.guard = guard.get();
    deps.resolve = [this](const std::string& host) { return resolver->ResolveAll(host); };
    deps.breakers = &breakers;
    answers.Set(AnswersOf(config));
    deps.answers = &answers;
    plugins = std::make_unique<plugin::Host>(PluginHostConfig(config), deps);
    ReportPlugins(*plugins);
    access = std::make_unique<access::AccessControl>(plugins->authenticator(), keys, storage.clock);
    rates = std::make_unique<access::RateGate>(
        plugins->limiter(), plugins->local_limiter(), RateNumbersOf(config), OnFailure(config)
    );
    rate_watch =
        std::make_unique<access::RateWatch>(*rates, *storage.pool, storage.ids, storage.clock);
}

}  // namespace opensend::app
