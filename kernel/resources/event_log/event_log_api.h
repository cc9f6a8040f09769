#pragma once

#include <memory>
#include <string>

#include "kernel/api/router.h"
#include "kernel/db/pool.h"
#include "kernel/events/sequenced_signal.h"
#include "kernel/resources/event_log/log_waiters.h"

namespace opensend::event_log {

/// GET /events/log (REST 2.17).
class EventLogApi {
public:
    EventLogApi(db::Pool& pool, const base::Clock& clock, events::SequencedSignal& signal);
    ~EventLogApi();
    void Mount(api::Router& router);
    /// Answers whoever waits: the listener is about to close.
    void Close() { waiters_.Close(); }

private:
    struct Question {
        int64_t after = 0, limit = 100, wait_s = 0;
        std::string types;  // ",a,b,"
    };
    static Question ReadQuestion(const api::Call& call);
    api::Answer Read(const std::shared_ptr<api::Call>& call);
    /// nullopt: nothing to show, and `must` is false. `scanned` moves over entries of other types.
    std::optional<http::Response> Page(
        const model::TenantId& tenant, const Question& question, int64_t& scanned, bool must
    );

    db::Pool& pool_;
    const base::Clock& clock_;
    events::SequencedSignal& signal_;
    LogWaiters waiters_;
};

}  // namespace opensend::event_log
