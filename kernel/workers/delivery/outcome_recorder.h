#pragma once

#include <span>

#include "kernel/base/uuid.h"
#include "kernel/db/transaction.h"
#include "kernel/workers/delivery/outcome.h"

namespace opensend::delivery {

/// Attempts that are about to begin: rows with phase wire, committed before the first byte
/// (SEND-52), and the history's word of it.
void BeginAttempts(
    db::Session& tx,
    const std::vector<std::shared_ptr<ClaimedRecipient>>& work,
    base::Time now,
    base::UuidSource& ids
);

/// Recipients of rows whose lease ended on the wire: unknown, with their messages (T19).
void MarkUnknown(
    db::Session& tx, const std::vector<queue::QueueRow>& rows, base::Time now, base::UuidSource& ids
);

/// Writes outcomes: recipient, message, history, events, suppression, queue and attempt together
/// (SEND-11). A result whose lease is no longer ours only marks its attempt as stale (SEND-16).
/// Repeatable until the transaction commits.
class OutcomeRecorder {
public:
    OutcomeRecorder(base::UuidSource& ids, const base::Clock& clock) : ids_(ids), clock_(clock) {}
    void Apply(db::Transaction& tx, std::span<Outcome* const> outcomes);

private:
    base::UuidSource& ids_;
    const base::Clock& clock_;
};

}  // namespace opensend::delivery
