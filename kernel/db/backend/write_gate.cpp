#include "kernel/db/backend/write_gate.h"

#include <algorithm>
#include <chrono>

namespace opensend::db {

bool WriteGate::Enter(Plane plane, base::Duration wait) {
    const auto deadline = std::chrono::steady_clock::now() + wait;
    base::MutexLock lock(mutex_);
    if (!taken_) {
        taken_ = true;
        return true;
    }
    Waiter self;
    auto& queue = queues_.at(static_cast<size_t>(plane) - 1);
    queue.push_back(&self);
    while (!self.admitted) {
        const auto left = deadline - std::chrono::steady_clock::now();
        if (left <= left.zero()) {
            queue.erase(std::find(queue.begin(), queue.end(), &self));
            return false;
        }
        self.turn.WaitFor(lock, left);
    }
    return true;
}

void WriteGate::Leave() {
    base::MutexLock lock(mutex_);
    Waiter* const next = TakeNext();
    if (next == nullptr) {
        taken_ = false;
        return;
    }
    next->admitted = true;
    next->turn.NotifyOne();
}

WriteGate::Waiter* WriteGate::TakeNext() {
    std::deque<Waiter*>* chosen = nullptr;
    for (auto& queue : queues_) {
        if (queue.empty()) continue;
        if (chosen == nullptr || queue.front()->passed >= kMaxPassed) chosen = &queue;
    }
    if (chosen == nullptr) return nullptr;
    Waiter* const next = chosen->front();
    chosen->pop_front();
    for (auto& queue : queues_) {
        if (&queue != chosen && !queue.empty()) ++queue.front()->passed;
    }
    return next;
}

size_t WriteGate::waiting() const {
    base::MutexLock lock(mutex_);
    size_t sum = 0;
    for (const auto& queue : queues_) sum += queue.size();
    return sum;
}

}  // namespace opensend::db
