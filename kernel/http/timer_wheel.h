#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "kernel/base/clock.h"

namespace opensend::http {

/// Links of something that has at most one deadline.
struct TimerNode {
    TimerNode* previous = nullptr;
    TimerNode* next = nullptr;
    int64_t due_tick = 0;

    bool armed() const { return next != nullptr; }
    void Unlink() {
        if (next == nullptr) return;
        previous->next = next;
        next->previous = previous;
        previous = next = nullptr;
    }
};

/// Deadlines in slots of kTick; setting and clearing cost a few stores, however many there are.
/// A deadline fires at most one tick late, never early. Belongs to one thread.
class TimerWheel {
public:
    static constexpr std::chrono::nanoseconds kTick = std::chrono::milliseconds(25);

    explicit TimerWheel(base::MonoTime now) : tick_(now.ns / kTick.count()) {
        for (auto& slot : slots_) slot.previous = slot.next = &slot;
    }
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;

    void Set(TimerNode& node, base::MonoTime due) {
        int64_t tick = (due.ns + kTick.count() - 1) / kTick.count();
        if (tick <= tick_) tick = tick_ + 1;
        if (node.armed() && node.due_tick == tick) return;
        node.Unlink();
        node.due_tick = tick;
        Link(slots_[static_cast<size_t>(tick) % kSlots], node);
    }

    /// Calls `fire(node)` for each node that is due; it may set and unlink any node.
    template <class F>
    void Advance(base::MonoTime now, F&& fire) {
        const int64_t until = now.ns / kTick.count();
        if (until <= tick_) return;
        // After a long pause every slot is looked at once.
        int64_t from = tick_ + 1;
        if (until - from >= static_cast<int64_t>(kSlots))
            from = until - static_cast<int64_t>(kSlots) + 1;
        tick_ = until;
        TimerNode due;
        due.previous = due.next = &due;
        for (int64_t tick = from; tick <= until; ++tick) {
            TimerNode& slot = slots_[static_cast<size_t>(tick) % kSlots];
            for (TimerNode* node = slot.next; node != &slot;) {
                TimerNode* const following = node->next;
                if (node->due_tick <= until) {
                    node->Unlink();
                    Link(due, *node);
                }
                node = following;
            }
        }
        while (due.next != &due) {
            TimerNode& node = *due.next;
            node.Unlink();
            fire(node);
        }
    }

private:
    static constexpr size_t kSlots = 4096;  // 102 s; later deadlines go round more than once

    static void Link(TimerNode& list, TimerNode& node) {
        node.previous = list.previous;
        node.next = &list;
        list.previous->next = &node;
        list.previous = &node;
    }

    int64_t tick_;
    std::array<TimerNode, kSlots> slots_{};
};

}  // namespace opensend::http
