#include "kernel/plugin/timers.h"

#include <algorithm>

namespace opensend::plugin {
namespace {

// Also the longest time after which a clock that a test has moved is looked at again.
constexpr std::chrono::milliseconds kLongestSleep{100};

}  // namespace

Timers::Timers(std::string name, const base::Clock& clock)
    : clock_(clock), worker_(std::move(name), [this](runtime::StopToken& stop) { Loop(stop); }) {}

uint64_t Timers::Arm(
    base::MonoTime at, std::chrono::nanoseconds period, std::function<void(uint64_t)> fire
) {
    bool is_first = false;
    uint64_t id = 0;
    {
        base::MutexLock lock(mutex_);
        id = ++last_id_;
        auto shared = std::make_shared<std::function<void(uint64_t)>>(std::move(fire));
        entries_[id] = {at, period, std::move(shared)};
        order_[{at.ns, id}] = true;
        is_first = order_.begin()->first.second == id;
    }
    if (is_first) worker_.Wake();
    return id;
}

bool Timers::Disarm(uint64_t id) {
    base::MutexLock lock(mutex_);
    const auto entry = entries_.find(id);
    const bool found = entry != entries_.end();
    if (found) {
        order_.erase({entry->second.at.ns, id});
        entries_.erase(entry);
    }
    if (running_ == id && runner_ == std::this_thread::get_id()) return true;
    while (running_ == id) ended_.Wait(lock);
    return found;
}

size_t Timers::size() {
    base::MutexLock lock(mutex_);
    return entries_.size();
}

void Timers::Loop(runtime::StopToken& stop) {
    while (!stop.stopped()) {
        const auto sleep = RunDue();
        if (sleep.count() > 0) stop.SleepFor(sleep);
    }
}

std::chrono::milliseconds Timers::RunDue() {
    base::MutexLock lock(mutex_);
    runner_ = std::this_thread::get_id();
    if (order_.empty()) return kLongestSleep;
    const auto wait = base::MonoTime{order_.begin()->first.first} - clock_.Mono();
    if (wait.count() > 0) {
        const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(wait);
        return std::min(rounded, kLongestSleep);
    }
    const uint64_t id = order_.begin()->first.second;
    const auto fire = TakeFirst(id);
    running_ = id;
    lock.Unlock();
    (*fire)(id);
    lock.Lock();
    running_ = 0;
    ended_.NotifyAll();
    return std::chrono::milliseconds(0);
}

std::shared_ptr<std::function<void(uint64_t)>> Timers::TakeFirst(uint64_t id) {
    order_.erase(order_.begin());
    Entry& entry = entries_[id];
    const auto fire = entry.fire;
    if (entry.period.count() > 0) {
        entry.at = std::max(entry.at, clock_.Mono()) + entry.period;
        order_[{entry.at.ns, id}] = true;
    } else {
        entries_.erase(id);
    }
    return fire;
}

}  // namespace opensend::plugin
