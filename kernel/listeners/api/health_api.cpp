#include "kernel/listeners/api/health_api.h"

#include <algorithm>

#include "kernel/base/error.h"
#include "kernel/db/transaction.h"
#include "kernel/json/writer.h"

namespace opensend::health {
namespace {

constexpr db::Query kProbe{"health.probe", "SELECT 1"};
constexpr std::chrono::seconds kProbeInterval{2};

}  // namespace

HealthMonitor::HealthMonitor(db::Pool& pool, std::function<std::vector<Check>()> more)
    : more_(std::move(more)) {
    probe_ = std::make_unique<runtime::Worker>("db-probe", [this, &pool](runtime::StopToken& stop) {
        while (!stop.stopped()) {
            try {
                db::Reader reader(pool, db::Scope::AllTenants());
                database_ok_ = reader.First(kProbe, {}).has_value();
            } catch (const base::Error&) {
                database_ok_ = false;
            }
            stop.SleepFor(kProbeInterval);
        }
    });
}

std::vector<Check> HealthMonitor::Checks() const {
    std::vector<Check> checks = {
        {"config",     "ok"                         },
        {"db",         database_ok() ? "ok" : "fail"},
        {"migrations", "ok"                         }
    };
    for (Check& check : more_()) checks.push_back(std::move(check));
    if (draining_) checks.push_back({"drain", "fail"});
    return checks;
}

void HealthApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = HealthApi;
    static constexpr RouteClass kP = RouteClass::kPublic;
    static constexpr api::RouteTraits kHealth = {.health = true};
    // clang-format off
    static const api::Route<HealthApi> kRoutes[] = {
        {M::GET, "/livez", kP, &A::Livez,
         {.id = "service.livez", .summary = "Say that the process runs",
          .answers = "200 Alive"}, kHealth},
        {M::GET, "/health", kP, &A::Health,
         {.id = "service.health", .summary = "Say whether the database answers",
          .answers = "200 Health, 503 Health"}, kHealth},
        {M::GET, "/ready", kP, &A::Ready,
         {.id = "service.ready", .summary = "Say whether requests can be taken",
          .answers = "200 Readiness, 503 Readiness"}, kHealth},
        {M::GET, "/.well-known/opensend-key-format.json", kP, &A::KeyFormat,
         {.id = "service.key_format", .summary = "Describe what API keys look like",
          .answers = "200 KeyFormat"}},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

api::Answer HealthApi::Livez(const std::shared_ptr<api::Call>&) {
    return api::Json(200, R"({"status":"ok"})");
}

api::Answer HealthApi::Health(const std::shared_ptr<api::Call>&) {
    if (monitor_.database_ok()) return api::Json(200, R"({"status":"ok","db":"connected"})");
    http::Response response = api::Json(503, R"({"status":"error","db":"unreachable"})");
    response.headers.Set("Retry-After", "5");
    return response;
}

api::Answer HealthApi::Ready(const std::shared_ptr<api::Call>&) {
    const std::vector<Check> checks = monitor_.Checks();
    const bool failed = std::any_of(checks.begin(), checks.end(), [](const Check& check) {
        return check.value == "fail";
    });
    json::Writer out;
    out.BeginObject().Field("status", failed ? "not_ready" : "ready").Key("checks").BeginObject();
    for (const Check& check : checks) out.Field(check.name, check.value);
    out.EndObject().EndObject();
    http::Response response = api::Json(failed ? 503 : 200, out.Take());
    if (failed) response.headers.Set("Retry-After", "5");
    return response;
}

api::Answer HealthApi::KeyFormat(const std::shared_ptr<api::Call>&) {
    json::Writer out;
    out.BeginObject().Field("pattern", "^os_[0-9A-Za-z]{50}$").Key("checksum").BeginObject();
    out.Field("algorithm", "crc32").Field("polynomial", "0xEDB88320").Field("covers", 47);
    out.Field("encoding", "base62").Field("length", 6).EndObject().EndObject();
    return api::Json(200, out.Take());
}

}  // namespace opensend::health
