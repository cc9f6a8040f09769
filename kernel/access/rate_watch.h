#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "kernel/access/audit.h"
#include "kernel/access/rate_gate.h"
#include "kernel/base/clock.h"
#include "kernel/base/uuid.h"
#include "kernel/db/pool.h"
#include "kernel/runtime/periodic.h"

namespace opensend::access {

/// Looks after the store of the rate limiter (RATE-34): asks it again after a failure, says once a
/// minute that it is away, and writes into the audit log of each tenant that it touched.
class RateWatch {
public:
    RateWatch(RateGate& gate, db::Pool& pool, base::UuidSource& ids, const base::Clock& clock);

private:
    struct Due {
        model::TenantId tenant;
        const char* action;
        base::Time time;
    };
    void Run();
    void Say(const RateOutage::News& news);
    void WriteAudits();

    RateGate& gate_;
    db::Pool& pool_;
    base::UuidSource& ids_;
    const base::Clock& clock_;
    std::vector<Due> audits_;  // these are the worker's
    uint64_t unanswered_ = 0;  // since the last line
    base::MonoTime say_at_{}, probe_at_{};
    std::chrono::milliseconds pause_{};  // between probes
    runtime::Periodic periodic_;         // last: uses the others
};

}  // namespace opensend::access
