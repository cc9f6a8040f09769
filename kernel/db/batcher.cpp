#include "kernel/db/batcher.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "kernel/base/mutex.h"
#include "kernel/runtime/worker.h"

namespace opensend::db {

struct BatchWorker::State {
    State(Pool& pool_in, Options options_in, Apply apply_in)
        : pool(pool_in), options(std::move(options_in)), apply(std::move(apply_in)) {}

    /// Waits for items; empty: stopping and nothing is left.
    std::vector<Entry> Take() {
        base::MutexLock lock(mutex);
        while (queue.empty() && !stopping) changed.Wait(lock);
        const size_t count = std::min(queue.size(), std::max<size_t>(options.max_batch, 1));
        std::vector<Entry> batch;
        batch.reserve(count);
        for (size_t i = 0; i < count; ++i) {
            batch.push_back(std::move(queue.front()));
            queue.pop_front();
        }
        return batch;
    }

    void Run() {
        for (auto batch = Take(); !batch.empty(); batch = Take()) Process(batch);
    }

    void Process(std::span<Entry> batch) {
        bool begun = false;
        const std::exception_ptr failure = Try(batch, begun);
        if (failure == nullptr || batch.size() == 1 || !begun) return Finish(batch, failure);
        for (size_t i = 0; i < batch.size(); ++i) {
            const std::span<Entry> one = batch.subspan(i, 1);
            begun = false;
            const std::exception_ptr reason = Try(one, begun);
            // Without a database the others need not wait for it one by one.
            if (reason != nullptr && !begun) return Finish(batch.subspan(i), reason);
            Finish(one, reason);
        }
    }

    /// One transaction; nullptr: committed.
    std::exception_ptr Try(std::span<Entry> entries, bool& begun) {
        try {
            Transaction transaction(pool, options.plane, Scope::AllTenants());
            begun = true;
            apply(transaction, entries);
            transaction.Commit();
            return nullptr;
        } catch (const std::exception&) {
            return std::current_exception();
        }
    }

    static void Finish(std::span<Entry> entries, const std::exception_ptr& reason) {
        for (Entry& entry : entries) {
            if (entry.done) entry.done(reason);
            entry = {};
        }
    }

    Pool& pool;
    const Options options;
    const Apply apply;
    mutable base::Mutex mutex;
    base::CondVar changed;
    std::deque<Entry> queue OPENSEND_GUARDED_BY(mutex);
    bool stopping OPENSEND_GUARDED_BY(mutex) = false;
    std::optional<runtime::Worker> worker;
};

BatchWorker::BatchWorker(Pool& pool, Options options, Apply apply)
    : state_(std::make_unique<State>(pool, std::move(options), std::move(apply))) {
    State* const state = state_.get();
    state->worker.emplace(state->options.name, [state](runtime::StopToken&) { state->Run(); });
}

BatchWorker::~BatchWorker() {
    {
        base::MutexLock lock(state_->mutex);
        state_->stopping = true;
        state_->changed.NotifyAll();
    }
    state_->worker.reset();
}

bool BatchWorker::Submit(Entry entry) {
    base::MutexLock lock(state_->mutex);
    if (state_->stopping || state_->queue.size() >= state_->options.max_queue) return false;
    state_->queue.push_back(std::move(entry));
    state_->changed.NotifyOne();
    return true;
}

size_t BatchWorker::queued() const {
    base::MutexLock lock(state_->mutex);
    return state_->queue.size();
}

}  // namespace opensend::db
