#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernel/api/request_record.h"
#include "kernel/base/guarded.h"
#include "kernel/db/pool.h"
#include "kernel/runtime/worker.h"

namespace opensend::logs {

/// Writes the request log beside the requests: in batches, on a thread of its own. A request never
/// waits for it and never fails by it; what does not fit is counted and left out (REST 1.15).
/// Thread-safe.
class RequestLogger {
public:
    enum class Capture { kAll = 1, kMutations, kOff };
    RequestLogger(db::Pool& pool, Capture capture);
    ~RequestLogger();  // writes what waits

    void Record(api::RequestRecord record);
    uint64_t dropped() const { return dropped_; }

private:
    void Run(runtime::StopToken& stop);
    bool WriteBatch();
    enum class Written { kYes = 1, kNo, kNotNow };
    /// All of them or none; kNotNow says that the database may take them later.
    Written Write(std::span<const api::RequestRecord> records);
    /// To the head of the queue; returns how many had no room.
    size_t PutBack(std::vector<api::RequestRecord> batch);
    void Drop(size_t count);

    db::Pool& pool_;
    const Capture capture_;
    std::atomic<uint64_t> dropped_{0};
    base::Guarded<std::deque<api::RequestRecord>> waiting_;
    std::unique_ptr<runtime::Worker> worker_;
};

}  // namespace opensend::logs
