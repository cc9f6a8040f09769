#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernel/api/router.h"
#include "kernel/base/guarded.h"
#include "kernel/db/pool.h"
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

/// /livez, /health, /ready and the public description of API keys (REST 2.24).
class HealthApi {
public:
    explicit HealthApi(HealthMonitor& monitor) : monitor_(monitor) {}
    void Mount(api::Router& router);

private:
    api::Answer Livez(const std::shared_ptr<api::Call>& call);
    api::Answer Health(const std::shared_ptr<api::Call>& call);
    api::Answer Ready(const std::shared_ptr<api::Call>& call);
    api::Answer KeyFormat(const std::shared_ptr<api::Call>& call);

    HealthMonitor& monitor_;
};

}  // namespace opensend::health
