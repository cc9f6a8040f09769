#include "kernel/listeners/api/health_api.h"

#include <algorithm>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/db/transaction.h"
#include "kernel/json/writer.h"

namespace opensend::health {
namespace {

constexpr db::Query kProbe{"health.probe", "SELECT 1"};
constexpr std::chrono::seconds kProbeInterval{2};
constexpr std::chrono::seconds kToldWithin{15};
/// RFC 9116 wants an end that is less than a year away.
constexpr std::chrono::hours kContactHolds{24 * 180};

std::string_view ToText(Job::State state) {
    switch (state) {
        case Job::State::kHealthy: return "healthy";
        case Job::State::kStale: return "stale";
        case Job::State::kMissing: break;
    }
    return "missing";
}

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

std::vector<Job> JudgeJobs(
    std::span<const std::string_view> wanted,
    const std::vector<runtime::Pulse>& seen,
    base::Time now
) {
    std::vector<Job> jobs;
    for (const std::string_view name : wanted) {
        Job job{std::string(name)};
        for (const runtime::Pulse& pulse : seen) {
            if (pulse.job != name) continue;
            job.interval = pulse.interval;
            job.age = std::max(now - pulse.seen, base::Duration(0));
            const auto patience = std::max<base::Duration>(3 * pulse.interval, kToldWithin);
            job.state = job.age > patience ? Job::State::kStale : Job::State::kHealthy;
        }
        jobs.push_back(std::move(job));
    }
    return jobs;
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
        {M::GET, "/health/scheduler", kP, &A::Scheduler,
         {.id = "service.scheduler", .summary = "Say whether the jobs in the background run",
          .answers = "200 Scheduler, 503 Scheduler"}, kHealth},
        {M::GET, "/.well-known/opensend-key-format.json", kP, &A::KeyFormat,
         {.id = "service.key_format", .summary = "Describe what API keys look like",
          .answers = "200 KeyFormat"}},
        {M::GET, "/.well-known/security.txt", kP, &A::SecurityText,
         {.id = "service.security_txt", .summary = "Name the contact for vulnerabilities",
          .answers = "200 text/plain"}},
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

api::Answer HealthApi::Scheduler(const std::shared_ptr<api::Call>&) {
    const std::vector<Job> jobs = options_.jobs();
    Job::State worst = Job::State::kHealthy;
    for (const Job& job : jobs) worst = std::max(worst, job.state);
    json::Writer out;
    out.BeginObject().Field("scheduler", ToText(worst)).Key("jobs").BeginArray();
    for (const Job& job : jobs) {
        out.BeginObject().Field("name", job.name).Field("state", ToText(job.state));
        const int64_t age = std::chrono::duration_cast<std::chrono::milliseconds>(job.age).count();
        const bool is_known = job.state != Job::State::kMissing;
        out.Field("last_seen_ms_ago", is_known ? std::optional(age) : std::nullopt);
        out.Field("interval_ms", is_known ? std::optional(job.interval.count()) : std::nullopt);
        out.EndObject();
    }
    out.EndArray().EndObject();
    const bool is_healthy = worst == Job::State::kHealthy;
    http::Response response = api::Json(is_healthy ? 200 : 503, out.Take());
    if (!is_healthy) response.headers.Set("Retry-After", "5");
    return response;
}

api::Answer HealthApi::KeyFormat(const std::shared_ptr<api::Call>&) {
    json::Writer out;
    out.BeginObject().Field("pattern", "^os_[0-9A-Za-z]{50}$").Key("checksum").BeginObject();
    out.Field("algorithm", "crc32").Field("polynomial", "0xEDB88320").Field("covers", 47);
    out.Field("encoding", "base62").Field("length", 6).EndObject().EndObject();
    return api::Json(200, out.Take());
}

api::Answer HealthApi::SecurityText(const std::shared_ptr<api::Call>& call) {
    http::Response response;
    response.headers.Add("Content-Type", "text/plain; charset=utf-8");
    response.body = base::Cat(
        "Contact: ", options_.security_contact,
        "\nExpires: ", base::FormatIso(call->now + kContactHolds),
        "\nPreferred-Languages: en\nCanonical: ", options_.app_url, "/.well-known/security.txt\n"
    );
    return response;
}

}  // namespace opensend::health
