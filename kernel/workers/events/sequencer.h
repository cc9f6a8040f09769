#pragma once

#include <functional>
#include <memory>

#include "kernel/base/uuid.h"
#include "kernel/db/pool.h"
#include "kernel/runtime/worker.h"

namespace opensend::sequencer {

/// Gives committed events their place in the tenant's sequence, without gaps, and in the same
/// transaction one delivery to every endpoint that wants them (HOOK-02). Any number of processes
/// may run one: the tenant's counter row is the lock.
class Sequencer {
public:
    Sequencer(
        db::Pool& pool,
        base::UuidSource& ids,
        const base::Clock& clock,
        std::function<void()> wake_webhooks,
        std::function<void()> sequenced = [] {}
    );
    /// There are new events. Any thread.
    void Wake() { worker_->Wake(); }
    /// One round over all tenants with unsequenced events; how many got a number.
    int64_t RunOnce();

private:
    int64_t SequenceTenant(const std::string& tenant);

    db::Pool& pool_;
    base::UuidSource& ids_;
    const base::Clock& clock_;
    std::function<void()> wake_webhooks_, sequenced_;
    std::unique_ptr<runtime::Worker> worker_;
};

}  // namespace opensend::sequencer
