#pragma once

#include <functional>
#include <memory>

#include "kernel/base/uuid.h"
#include "kernel/db/pool.h"
#include "kernel/runtime/worker.h"

namespace opensend::webhook_delivery {

/// Turns replays into deliveries, a batch per transaction (HOOK-40, HOOK-43).
class ReplayRunner {
public:
    static constexpr int64_t kBatch = 500;

    ReplayRunner(
        db::Pool& pool, base::UuidSource& ids, const base::Clock& clock, std::function<void()> added
    );
    /// There is a replay. Any thread.
    void Wake() { worker_->Wake(); }

    /// One batch of the oldest replay. False: there is none.
    static bool RunOnce(db::Pool& pool, base::UuidSource& ids, const base::Clock& clock);

private:
    std::unique_ptr<runtime::Worker> worker_;
};

}  // namespace opensend::webhook_delivery
