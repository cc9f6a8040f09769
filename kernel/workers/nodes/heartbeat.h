#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/guarded.h"
#include "kernel/db/pool.h"
#include "kernel/runtime/periodic.h"
#include "kernel/workers/nodes/node_store.h"

namespace opensend::nodes {

/// Tells the processes that share the database of each other: a row of this one is refreshed every
/// five seconds and counts for fifteen.
class Heartbeat {
public:
    /// Gets after every beat how many live processes answer clients (roles api and smtp).
    using OnCount = std::function<void(uint32_t live)>;
    /// Beats once before it returns. Throws base::Error when the database cannot be asked.
    Heartbeat(
        db::Pool& pool,
        const base::Clock& clock,
        std::string id,
        std::string roles,
        OnCount on_count
    );
    /// The row goes at once.
    ~Heartbeat();

    /// One beat; the worker calls it.
    void Beat();
    /// Of each job the run that was last seen in any live process, as of the last beat; by name.
    std::vector<runtime::Pulse> Jobs() const;

private:
    db::Pool& pool_;
    const base::Clock& clock_;
    Node node_;
    base::Guarded<std::vector<runtime::Pulse>> jobs_;
    const OnCount on_count_;
    std::unique_ptr<runtime::Periodic> periodic_;  // last: uses the others
};

}  // namespace opensend::nodes
