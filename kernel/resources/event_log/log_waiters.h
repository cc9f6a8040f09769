#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>

#include "kernel/api/call.h"
#include "kernel/base/guarded.h"
#include "kernel/runtime/worker.h"

namespace opensend::event_log {

/// Calls that wait for an event. One thread serves all of them: woken by the sequencer of this
/// process, and a few times a second for what another process numbers. Thread-safe.
class LogWaiters {
public:
    static constexpr size_t kPerTenant = 64, kInAll = 2048;

    explicit LogWaiters(const base::Clock& clock);
    ~LogWaiters();

    /// The answer once there is one; with `last` it must give one. May throw base::Error.
    using Probe = std::function<std::optional<http::Response>(bool last)>;
    /// Answers with what the probe gives, at the latest at `until`. False, with the call untouched:
    /// too many wait already.
    bool Add(std::shared_ptr<api::Call> call, base::MonoTime until, Probe probe);
    /// There are new entries. Any thread.
    void Wake();
    /// Answers whoever waits; from now on nobody is taken.
    void Close();

private:
    struct Waiting {
        std::shared_ptr<api::Call> call;
        base::MonoTime until;
        Probe probe;
    };
    struct State {
        std::list<Waiting> waiting;
        std::map<model::TenantId, size_t> per_tenant;  // those under way included
        size_t all = 0;
        bool closed = false;
    };
    void Run(runtime::StopToken& stop);
    static bool Try(const Waiting& waiting, bool last);

    const base::Clock& clock_;
    base::Guarded<State> state_;
    std::unique_ptr<runtime::Worker> worker_;
};

}  // namespace opensend::event_log
