#pragma once

#include <map>
#include <span>

#include "kernel/base/uuid.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/webhooks/delivery_store.h"

namespace opensend::webhook_delivery {

/// Writes ended attempts: the delivery's next state, the log, and what the endpoint's circuit and
/// queue make of it. An endpoint that only failed for long enough is switched off (HOOK-42).
class AttemptRecorder {
public:
    struct Options {
        base::Duration disable_after{std::chrono::hours(5 * 24)};
    };
    static constexpr int64_t kDisableFailures = 20;

    AttemptRecorder(base::UuidSource& ids, const base::Clock& clock, Options options)
        : ids_(ids), clock_(clock), options_(options) {}

    /// Repeatable until the transaction commits. True when an endpoint was switched off: there is
    /// an event.
    bool Apply(db::Session& tx, std::span<const webhooks::AttemptRecord* const> records);

private:
    void Note(webhooks::EndpointHealth& health, const webhooks::AttemptRecord& record) const;
    bool SwitchOff(
        db::Session& tx,
        const webhooks::EndpointQueue::Key& key,
        const webhooks::EndpointHealth& health
    );

    base::UuidSource& ids_;
    const base::Clock& clock_;
    Options options_;
};

}  // namespace opensend::webhook_delivery
