#include <algorithm>

#include "kernel/app/app.h"
#include "kernel/app/plugin_report.h"
#include "kernel/app/wiring.h"
#include "kernel/base/text.h"
#include "kernel/json/writer.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"

namespace opensend::app {
namespace {

runtime::LogLevel LevelOf(const runtime::Config& config) {
    const std::string level = config.Text("log.level");
    if (level == "debug") return runtime::LogLevel::kDebug;
    if (level == "warn") return runtime::LogLevel::kWarn;
    if (level == "error") return runtime::LogLevel::kError;
    return runtime::LogLevel::kInfo;
}

}  // namespace

void App::AddReloads() {
    using Problems = std::vector<std::string>;
    reloads_.Add("log", [](const runtime::Config& config) {
        runtime::SetLogLevel(LevelOf(config));
        return Problems();
    });
    reloads_.Add("egress", [this](const runtime::Config& config) {
        shared_.guard->SetRules(EgressRulesOf(config));
        return Problems();
    });
    reloads_.Add("ratelimit", [this](const runtime::Config& config) {
        shared_.rates->SetNumbers(RateNumbersOf(config));
        return Problems();
    });
    reloads_.Add("trusted_proxies", [this](const runtime::Config& config) {
        if (api_) api_->SetTrustedProxies(CidrsOf(config.List("net.trusted_proxies")));
        return Problems();
    });
    reloads_.Add("certificates", [this](const runtime::Config&) {
        const auto problem = api_ ? api_->ReloadCertificate() : std::nullopt;
        return problem ? Problems{*problem} : Problems();
    });
    reloads_.Add("plugins", [this](const runtime::Config& config) {
        last_reload_ = shared_.plugins->Reload(PluginHostConfig(config));
        Problems problems;
        for (const auto& line : last_reload_) {
            if (!line.problem.empty()) problems.push_back(line.problem);
        }
        return problems;
    });
    // After the plugins: a new group may name a transport that has just come.
    reloads_.Add("groups", [this](const runtime::Config& config) {
        if (work_) work_->SetGroups(RouteGroupsOf(config));
        if (work_) work_->SetPaces(PacesOf(config));
        return Problems();
    });
    reloads_.Add("answers", [this](const runtime::Config& config) {
        shared_.answers.Set(AnswersOf(config));
        return Problems();
    });
}

std::string App::Reload() {
    base::MutexLock lock(reload_mutex_);
    std::vector<std::string> problems;
    last_reload_.clear();
    if (!read_config_) {
        problems.emplace_back("this process cannot read its configuration again");
    } else if (auto read = read_config_(); read.ok()) {
        problems = reloads_.Run(*read);
    } else {
        for (const auto& problem : read.error())
            problems.push_back(base::Cat(problem.name, ": ", problem.code, ": ", problem.text));
    }
    for (const std::string& problem : problems) {
        OPENSEND_LOG(
            kError, "reload.refused", "a part of the configuration stays as it was",
            kv("problem", problem)
        );
    }
    OPENSEND_LOG(
        kInfo, "reload.done", "the configuration was read again",
        kv("problems", static_cast<int64_t>(problems.size()))
    );
    json::Writer out;
    out.BeginObject().Field("ok", problems.empty()).Field("problems", problems);
    out.Key("plugins").BeginArray();
    for (const auto& line : last_reload_) {
        out.BeginObject().Field("name", line.plugin).Field("result", line.result);
        out.Field("problem", line.problem).EndObject();
    }
    out.EndArray().EndObject();
    return out.Take();
}

void App::StartAdmin() {
    admin_api_ = std::make_unique<admin::AdminApi>(
        shared_.config.SecretValue("admin.metrics_token"),
        [this] { shared_.plugins->PublishMetrics(); }
    );
    admin_api_->Mount(admin_router_);
    health_api_->Mount(admin_router_);
    admin_filters_ = std::make_unique<api::Filters>(
        admin_router_, *shared_.access, *shared_.rates, shared_.storage.ids, shared_.storage.random,
        shared_.storage.clock,
        api::Filters::Options{.listener = "admin", .trusted_proxies = {}, .https = false}
    );
    http::ServerOptions options;
    options.name = "admin";
    options.bind = shared_.config.List("admin.bind");
    options.port = static_cast<uint16_t>(shared_.config.Int("admin.port"));
    options.reactors = 1;
    options.handler_threads = 2;
    options.max_connections = 256;
    admin_server_ = std::make_unique<http::Server>(
        options, [this](const http::Request& head) { return admin_filters_->OnHead(head); },
        [this](http::Request&& request, http::Reply reply) {
            admin_filters_->OnRequest(std::move(request), std::move(reply));
        },
        [this](int status, std::string_view code, std::string_view reason) {
            return admin_filters_->OnFramingError(status, code, reason);
        }
    );
    control_ = std::make_unique<control::ControlSocket>(
        shared_.config.Text("app.data_dir"),
        [this](std::string_view command) -> std::optional<std::string> {
            if (command == "plugins.list") return PluginsJson(*shared_.plugins);
            if (command == "plugins.reload") return Reload();
            return std::nullopt;
        }
    );
}

}  // namespace opensend::app
