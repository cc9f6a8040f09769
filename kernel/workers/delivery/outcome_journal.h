#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "kernel/base/mutex.h"
#include "kernel/model/delivery_outcome.h"
#include "kernel/model/ids.h"
#include "kernel/queue/queue_store.h"

namespace opensend::delivery {

/// One result that the database did not take.
struct JournalEntry {
    queue::Lease lease;
    model::TenantId tenant;
    model::EmailId email;
    int64_t ordinal = 0;
    model::AttemptId attempt;
    std::string transport;
    base::Time started_at;
    model::DeliveryOutcome result;
};

/// Results on disk until the database can have them (SEND-52): records of length, CRC-32 and JSON
/// in one file. Thread-safe.
class OutcomeJournal {
public:
    explicit OutcomeJournal(std::string path);

    /// On stable storage on return. Throws base::Error kUnavailable when the disk refuses.
    void Append(const JournalEntry& entry);
    /// Gives what is kept to `store`, in order of arrival, and forgets it when that returns; when
    /// it throws everything stays. What follows a torn or damaged record is left out. Appends wait
    /// meanwhile. Nothing happens when there is nothing.
    void Replay(const std::function<void(const std::vector<JournalEntry>&)>& store);
    bool empty() const { return empty_.load(); }

private:
    std::vector<JournalEntry> Read() const;
    void Truncate();

    const std::string path_;
    base::Mutex mutex_;  // one writer of the file at a time
    std::atomic<bool> empty_{true};
};

}  // namespace opensend::delivery
