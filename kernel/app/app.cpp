#include "kernel/app/app.h"

#include <algorithm>

#include "kernel/app/wiring.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/logs/request_log_store.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"

namespace opensend::app {
namespace {

constexpr int64_t kForgetRows = 1'000;
constexpr db::Query kForgetOldAnswers{
    "idempotency.expire", "DELETE FROM idempotency_records WHERE created_at < $1"};
std::optional<ProcessLock> LockDatabase(const runtime::Config& config) {
    if (!IsSqlite(config)) return std::nullopt;
    const auto url = config.SecretValue("DATABASE_URL");
    return std::optional<ProcessLock>(
        std::in_place, base::Cat(url->Reveal().substr(std::string_view("sqlite:").size()), ".lock")
    );
}

/// The backend counts within one process.
bool LimitsInMemory(plugin::Host& plugins) {
    return plugins.limiter() != nullptr && plugins.limiter() == plugins.local_limiter();
}

}  // namespace

App::App(
    const runtime::Config& config,
    const std::set<std::string>& roles,
    bool migrate,
    ReadConfig read_config
)
    : read_config_(std::move(read_config)),
      lock_(LockDatabase(config)),
      shared_(
          config,
          migrate || !config.strict() ? Storage::Migrations::kApply : Storage::Migrations::kRequire
      ) {
    StartHeartbeat(roles);
    monitor_ = std::make_unique<health::HealthMonitor>(*shared_.storage.pool, [this] {
        return MoreChecks();
    });
    health_api_ = std::make_unique<health::HealthApi>(
        *monitor_,
        health::HealthApi::Options{
            [this] { return Jobs(); }, shared_.config.Text("security.contact"),
            shared_.config.Text("app.url")}
    );
    if (roles.contains("worker")) work_ = std::make_unique<WorkPlane>(shared_);
    if (roles.contains("api")) {
        Wakes wakes{[] {}, [] {}, [] {}, [] {}};
        if (work_) {
            wakes = {
                [this] { work_->WakeDelivery(); }, [this] { work_->WakeEvents(); },
                [this] { work_->WakeWebhooks(); }, [this] { work_->WakeDomains(); }};
        }
        api_ = std::make_unique<ApiPlane>(shared_, *health_api_, std::move(wakes));
    }
    housekeeping_ =
        std::make_unique<runtime::Worker>("housekeeping", [this](runtime::StopToken& stop) {
            while (stop.SleepFor(std::chrono::seconds(10)), !stop.stopped()) Housekeep();
        });
    for (const std::string& role : roles) runtime::SetGauge("opensend_up_roles", {role}, 1);
    AddReloads();
    StartAdmin();
}

App::~App() {
    Drain(std::chrono::milliseconds(0));
    try {
        shared_.keys.FlushUses();
    } catch (const base::Error& error) {
        OPENSEND_LOG(
            kWarn, "app.flush_failed", "uses of keys were not stored", kv("detail", error.what())
        );
    }
}

void App::Housekeep() {
    shared_.keys.FlushUses();
    db::Transaction tx(*shared_.storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    tx.Change(kForgetOldAnswers, {shared_.storage.clock.Now() - std::chrono::hours(24)});
    tx.Commit();
    const base::Time oldest =
        shared_.storage.clock.Now() - shared_.config.Span("retention.api_logs");
    for (bool more = true; more;) {
        db::Transaction logs(*shared_.storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
        more = logs::RequestLogStore::Forget(logs, oldest, kForgetRows) == kForgetRows;
        logs.Commit();
    }
}

void App::StartHeartbeat(const std::set<std::string>& roles) {
    // Nobody shares an SQLite database.
    if (IsSqlite(shared_.config)) return;
    heartbeat_ = std::make_unique<nodes::Heartbeat>(
        *shared_.storage.pool, shared_.storage.clock, shared_.storage.ids.Next().ToString(),
        base::Join({roles.begin(), roles.end()}, ","),
        [this](uint32_t live) {
            const bool was_alone = shared_.rates->processes() <= 1;
            shared_.rates->SetProcesses(live);
            if (live <= 1 || !was_alone || !LimitsInMemory(*shared_.plugins)) return;
            OPENSEND_LOG(
                kWarn, "ratelimit.per_process",
                "processes share the database but count limits apart, in memory",
                kv("processes", static_cast<int64_t>(live))
            );
        }
    );
}

std::vector<health::Job> App::Jobs() const {
    static constexpr std::string_view kJobs[] = {"delivery", "domains", "events", "webhooks"};
    auto seen = runtime::Pulses();
    if (heartbeat_) seen = runtime::LastSeen(std::move(seen), heartbeat_->Jobs());
    return health::JudgeJobs(kJobs, seen, shared_.storage.clock.Now());
}

uint16_t App::api_port() const { return api_ ? api_->port() : 0; }

void App::Drain(std::chrono::milliseconds grace) {
    if (monitor_) monitor_->SetDraining();
    if (api_) api_->Stop(grace);
    control_.reset();
}

std::vector<health::Check> App::MoreChecks() const {
    std::vector<health::Check> checks;
    const bool is_counted_apart =
        LimitsInMemory(*shared_.plugins) &&
        (shared_.rates->processes() > 1 || shared_.config.Int("app.replicas") > 1);
    const bool is_limited = shared_.plugins->limiter() != nullptr &&
                            shared_.rates->outage().state() == access::RateOutage::State::kWell;
    checks.push_back({"rate_limit", is_limited && !is_counted_apart ? "ok" : "warn"});
    checks.push_back({"blob_store", "ok"});
    checks.push_back({"queue", "ok"});
    const auto jobs = Jobs();
    const bool all_run = std::all_of(jobs.begin(), jobs.end(), [](const health::Job& job) {
        return job.state == health::Job::State::kHealthy;
    });
    checks.push_back({"scheduler", all_run ? "ok" : "warn"});
    bool any_transport = false;
    bool capture = false;
    for (const auto& transport : shared_.plugins->transports()) {
        any_transport = any_transport || transport.up;
        capture = capture || (transport.up && transport.kind == "capture");
    }
    checks.push_back({"transports", any_transport && !capture ? "ok" : "warn"});
    const auto plugins = shared_.plugins->plugins();
    const bool all_up =
        std::all_of(plugins.begin(), plugins.end(), [](const auto& p) { return p.up; });
    checks.push_back({"plugins", all_up ? "ok" : "warn"});
    return checks;
}

}  // namespace opensend::app
