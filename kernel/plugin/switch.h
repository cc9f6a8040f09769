#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "kernel/base/clock.h"
#include "kernel/base/mutex.h"

namespace opensend::plugin {

/// Somebody is still inside of it: neither waiting on nor freeing would be right.
void KeepForGood(std::shared_ptr<void> object);

/// A place whose object can be exchanged while others use it. Thread-safe.
template <class T>
class Switch {
    struct Slot {
        std::unique_ptr<T> object;
        size_t users = 0;
    };

public:
    /// Keeps the object in place for a scope.
    class Use {
    public:
        Use(Switch& owner, std::shared_ptr<Slot> slot) : owner_(owner), slot_(std::move(slot)) {}
        ~Use() {
            if (slot_) owner_.Return(*slot_);
        }
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;
        explicit operator bool() const { return slot_ != nullptr; }
        T* operator->() const { return slot_->object.get(); }

    private:
        Switch& owner_;
        std::shared_ptr<Slot> slot_;
    };

    /// What is in place now; false in a condition when nothing is.
    Use Take() {
        base::MutexLock lock(mutex_);
        if (slot_) ++slot_->users;
        return Use(*this, slot_);
    }

    /// Puts `next` in place, null for nothing, and gives the old one back when its last user has
    /// left. Null when there was none, or when it is still in use at `deadline`: then it stays for
    /// the rest of the process.
    std::unique_ptr<T> Exchange(
        std::unique_ptr<T> next, base::MonoTime deadline, const base::Clock& clock
    ) {
        std::shared_ptr<Slot> fresh;
        if (next) {
            fresh = std::make_shared<Slot>();
            fresh->object = std::move(next);
        }
        base::MutexLock lock(mutex_);
        const std::shared_ptr<Slot> old = std::exchange(slot_, std::move(fresh));
        if (!old) return nullptr;
        while (old->users > 0) {
            const std::chrono::nanoseconds left = deadline - clock.Mono();
            if (left.count() <= 0) {
                KeepForGood(old);
                return nullptr;
            }
            const std::chrono::nanoseconds turn = std::chrono::milliseconds(20);
            left_.WaitFor(lock, std::min(left, turn));
        }
        return std::move(old->object);
    }

private:
    void Return(Slot& slot) {
        base::MutexLock lock(mutex_);
        if (--slot.users == 0) left_.NotifyAll();
    }

    base::Mutex mutex_;
    base::CondVar left_;
    std::shared_ptr<Slot> slot_ OPENSEND_GUARDED_BY(mutex_);
};

}  // namespace opensend::plugin
