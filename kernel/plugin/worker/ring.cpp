#include "kernel/plugin/worker/ring.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include <linux/futex.h>

namespace opensend::plugin::worker {
namespace {

constexpr uint64_t kLine = 64;

struct RecordHead {
    uint32_t length, flags;
    uint64_t size;  // of the whole frame, when it is not in this record alone
};
static_assert(sizeof(RecordHead) == 16);
constexpr uint32_t kSkip = 1u << 31;  // nothing up to the end of the area

uint64_t RoomOf(uint64_t length) {
    return (sizeof(RecordHead) + length + kLine - 1) / kLine * kLine;
}

void Relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

void FutexWait(std::atomic<uint32_t>& word, uint32_t seen, std::chrono::nanoseconds time) {
    timespec limit{};
    limit.tv_sec = static_cast<time_t>(time.count() / 1'000'000'000);
    limit.tv_nsec = static_cast<long>(time.count() % 1'000'000'000);
    syscall(SYS_futex, &word, FUTEX_WAIT, seen, &limit, nullptr, 0);
}

void FutexWake(std::atomic<uint32_t>& word) {
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

}  // namespace

bool Ring::HasRoom(uint64_t bytes) const {
    const uint64_t tail = shared_->tail.load(std::memory_order_acquire);
    const uint64_t used = own_ - tail;
    if (bytes > kMaxRecord || tail > own_ || used > size_) return false;
    const uint64_t room = RoomOf(bytes);
    const uint64_t to_end = size_ - own_ % size_;
    return room + (room > to_end ? to_end : 0) <= size_ - used;
}

bool Ring::Write(std::string_view bytes, uint32_t flags, uint64_t size, uint64_t* position) {
    if (!HasRoom(bytes.size())) return false;
    const uint64_t room = RoomOf(bytes.size());
    const uint64_t to_end = size_ - own_ % size_;
    if (room > to_end) {
        const RecordHead skip{0, kSkip, 0};
        std::memcpy(area_ + own_ % size_, &skip, sizeof skip);
        own_ += to_end;
    }
    const RecordHead head{static_cast<uint32_t>(bytes.size()), flags, size};
    char* place = area_ + own_ % size_;
    std::memcpy(place, &head, sizeof head);
    if (!bytes.empty()) std::memcpy(place + sizeof head, bytes.data(), bytes.size());
    own_ += room;
    shared_->head.store(own_, std::memory_order_seq_cst);
    if (position != nullptr) *position = own_;
    return true;
}

void Ring::Notify() {
    if (shared_->sleeping.load(std::memory_order_seq_cst) == 0) return;
    Interrupt();
}

void Ring::Interrupt() {
    shared_->sleeping.store(0, std::memory_order_seq_cst);
    shared_->bell.fetch_add(1, std::memory_order_seq_cst);
    FutexWake(shared_->bell);
}

Ring::Got Ring::Read(std::string& bytes, uint32_t& flags, uint64_t& size) {
    for (;;) {
        const uint64_t head_position = shared_->head.load(std::memory_order_acquire);
        const uint64_t there = head_position - own_;
        if (there == 0) return Got::kNothing;
        if (head_position < own_ || there > size_ || there % kLine != 0) return Got::kBroken;
        const uint64_t to_end = size_ - own_ % size_;
        const char* place = area_ + own_ % size_;
        RecordHead head;
        std::memcpy(&head, place, sizeof head);  // once: the other side may still write there
        if (head.flags == kSkip) {
            if (to_end > there) return Got::kBroken;
            own_ += to_end;
            shared_->tail.store(own_, std::memory_order_release);
            continue;
        }
        const uint64_t room = RoomOf(head.length);
        if (head.length > kMaxRecord || room > there || room > to_end) return Got::kBroken;
        bytes.assign(place + sizeof head, head.length);
        flags = head.flags;
        size = head.size;
        own_ += room;
        shared_->tail.store(own_, std::memory_order_release);
        return Got::kRecord;
    }
}

bool Ring::empty() const { return shared_->head.load(std::memory_order_seq_cst) == own_; }

uint64_t Ring::read_position() const { return shared_->tail.load(std::memory_order_acquire); }

void Ring::Wait(std::chrono::nanoseconds spin, std::chrono::nanoseconds time) {
    if (!empty()) return;
    if (spin.count() > 0) {
        const auto until = std::chrono::steady_clock::now() + spin;
        do {
            for (int i = 0; i < 32; ++i) {
                if (!empty()) return;
                Relax();
            }
        } while (std::chrono::steady_clock::now() < until);
    }
    const uint32_t seen = shared_->bell.load(std::memory_order_seq_cst);
    shared_->sleeping.store(1, std::memory_order_seq_cst);
    if (empty()) FutexWait(shared_->bell, seen, time);
    shared_->sleeping.store(0, std::memory_order_seq_cst);
}

}  // namespace opensend::plugin::worker
