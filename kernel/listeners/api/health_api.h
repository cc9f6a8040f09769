#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/api/router.h"
#include "kernel/base/guarded.h"
#include "kernel/db/pool.h"
#include "kernel/runtime/pulse.h"
#include "kernel/runtime/worker.h"

namespace opensend::health {

/// One line of /ready: "ok", "warn" or "fail".
struct Check {
    std::string name, value;
};

/// Probes the database in the background, so that health answers touch nothing (ING-60).
class HealthMonitor {
public:
    /// `more` gives the further checks of /ready; called per request, cheap.
    HealthMonitor(db::Pool& pool, std::function<std::vector<Check>()> more);

    bool database_ok() const { return database_ok_.load(); }
    void SetDraining() { draining_ = true; }
    std::vector<Check> Checks() const;

private:
    std::function<std::vector<Check>()> more_;
    std::atomic<bool> database_ok_{true};
    std::atomic<bool> draining_{false};
    std::unique_ptr<runtime::Worker> probe_;  // last: uses the others
};

/// How a loop fares that has to come round, in any process of this database.
struct Job {
    enum class State { kHealthy = 1, kStale, kMissing };
    std::string name;
    State state = State::kMissing;
    base::Duration age{0};  // since it was last seen; 0 when missing
    std::chrono::milliseconds interval{0};
};

/// Holds the jobs that there have to be against the runs that were seen: one that did not come
/// round for three intervals, or for the 15 s in which processes tell of each other, is stale.
std::vector<Job> JudgeJobs(
    std::span<const std::string_view> wanted,
    const std::vector<runtime::Pulse>& seen,
    base::Time now
);

/// Health of the process and its jobs, and what the public may know of it (REST 2.24, DATA-40).
class HealthApi {
public:
    struct Options {
        std::function<std::vector<Job>()> jobs;  // cheap; any thread
        std::string security_contact;            // a URI
        std::string app_url;
    };
    HealthApi(HealthMonitor& monitor, Options options)
        : monitor_(monitor), options_(std::move(options)) {}
    void Mount(api::Router& router);

private:
    api::Answer Livez(const std::shared_ptr<api::Call>& call);
    api::Answer Health(const std::shared_ptr<api::Call>& call);
    api::Answer Ready(const std::shared_ptr<api::Call>& call);
    api::Answer Scheduler(const std::shared_ptr<api::Call>& call);
    api::Answer KeyFormat(const std::shared_ptr<api::Call>& call);
    api::Answer SecurityText(const std::shared_ptr<api::Call>& call);

    HealthMonitor& monitor_;
    const Options options_;
};

}  // namespace opensend::health
