#include "kernel/resources/logs/request_logger.h"

#include <algorithm>

#include "kernel/base/error.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/logs/request_log_store.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"

namespace opensend::logs {
namespace {

constexpr size_t kMaxWaiting = 20'000;
constexpr size_t kBatch = 1'000;
constexpr std::chrono::milliseconds kEvery{250};

}  // namespace

RequestLogger::RequestLogger(db::Pool& pool, Capture capture) : pool_(pool), capture_(capture) {
    worker_ = std::make_unique<runtime::Worker>("request-log", [this](runtime::StopToken& stop) {
        Run(stop);
    });
}

RequestLogger::~RequestLogger() {
    worker_.reset();
    while (WriteBatch()) {
    }
}

void RequestLogger::Record(api::RequestRecord record) {
    if (capture_ == Capture::kOff) return;
    if (capture_ == Capture::kMutations && record.method == "GET") return;
    const bool kept = waiting_.With([&](auto& queue) {
        if (queue.size() >= kMaxWaiting) return false;
        queue.push_back(std::move(record));
        return true;
    });
    Drop(kept ? 0 : 1);
}

void RequestLogger::Run(runtime::StopToken& stop) {
    while (!stop.stopped()) {
        if (!WriteBatch()) stop.SleepFor(kEvery);
    }
}

bool RequestLogger::WriteBatch() {
    std::vector<api::RequestRecord> batch;
    const bool full = waiting_.With([&](auto& queue) {
        while (!queue.empty() && batch.size() < kBatch) {
            batch.push_back(std::move(queue.front()));
            queue.pop_front();
        }
        return !queue.empty();
    });
    if (batch.empty()) return full;
    const Written all = Write(batch);
    if (all == Written::kYes) return full;
    if (all == Written::kNotNow) {
        Drop(PutBack(std::move(batch)));
        return false;
    }
    // One that the database does not take must not cost the others their rows.
    size_t lost = batch.size();
    if (batch.size() > 1) {
        for (const api::RequestRecord& record : batch)
            lost -= Write({&record, 1}) == Written::kYes ? size_t{1} : size_t{0};
    }
    Drop(lost);
    return false;
}

size_t RequestLogger::PutBack(std::vector<api::RequestRecord> batch) {
    return waiting_.With([&](auto& queue) {
        while (!batch.empty() && queue.size() < kMaxWaiting) {
            queue.push_front(std::move(batch.back()));
            batch.pop_back();
        }
        return batch.size();
    });
}

void RequestLogger::Drop(size_t count) {
    if (count == 0) return;
    dropped_ += count;
    runtime::Count("opensend_request_log_dropped_total", {}, count);
}

RequestLogger::Written RequestLogger::Write(std::span<const api::RequestRecord> records) {
    try {
        db::Transaction tx(pool_, db::Plane::kDashboard, db::Scope::AllTenants());
        RequestLogStore::Insert(tx, records);
        tx.Commit();
        return Written::kYes;
    } catch (const base::Error& error) {
        OPENSEND_LOG(
            kWarn, "request_log.not_written", "rows of the request log could not be written",
            kv("rows", records.size()), kv("detail", error.what())
        );
        return error.code() == base::ErrorCode::kUnavailable ? Written::kNotNow : Written::kNo;
    }
}

}  // namespace opensend::logs
