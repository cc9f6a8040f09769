#pragma once

#include <atomic>
#include <cstdint>
#include <set>
#include <vector>

#include "kernel/base/guarded.h"
#include "kernel/model/ids.h"

namespace opensend::access {

/// Whether the rate limiter's store answers, and whom it left without an answer (RATE-34).
/// Thread-safe; costs one load while all is well.
class RateOutage {
public:
    /// kDegraded: the backend answers, but from a share of its own. kAway: it is not asked.
    enum class State { kWell = 1, kDegraded, kAway };
    State state() const { return state_.load(std::memory_order_acquire); }

    /// A charge found the store so; `tenant` is null for an anonymous one. Only makes it worse.
    void Note(State found, const model::TenantId* tenant);
    /// A probe found the store so: the third in a row that was answered, and as well as this one,
    /// ends the outage or what is left of it.
    void Probed(State found);

    /// What happened since the last time.
    struct News {
        bool began = false, ended = false;
        uint64_t unanswered = 0;                         // charges
        std::vector<model::TenantId> failed, recovered;  // each tenant once in an outage
    };
    News Take();

private:
    struct Told {
        News news;
        std::set<model::TenantId> tenants;  // of this outage
        State last_probe = State::kAway;
        int good_probes = 0;
    };
    std::atomic<State> state_{State::kWell};
    base::Guarded<Told> told_;
};

}  // namespace opensend::access
