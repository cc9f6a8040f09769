#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>

#include "kernel/api/call.h"
#include "kernel/base/guarded.h"
#include "kernel/runtime/worker.h"

namespace opensend::domains {

/// Calls that wait for what a worker, here or in another process, writes into the database. A
/// thread of its own asks for all of them, so that no handler thread is held. Thread-safe.
class LateAnswers {
public:
    explicit LateAnswers(const base::Clock& clock);

    /// The answer once it is there; with `last` it must give one. May throw base::Error.
    using Probe = std::function<std::optional<http::Response>(bool last)>;
    /// Answers the call with what the probe gives, at the latest at `until`. At once, when too many
    /// wait already.
    void Add(std::shared_ptr<api::Call> call, base::MonoTime until, Probe probe);

private:
    struct Waiting {
        std::shared_ptr<api::Call> call;
        base::MonoTime until;
        Probe probe;
    };
    void Run(runtime::StopToken& stop);
    /// True when the call was answered.
    static bool Try(const Waiting& waiting, bool last);

    const base::Clock& clock_;
    base::Guarded<std::list<Waiting>> waiting_;
    runtime::Worker worker_;
};

}  // namespace opensend::domains
