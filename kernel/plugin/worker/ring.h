#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace opensend::plugin::worker {

/// The part of a ring that both processes write. The other side may put anything into it.
struct RingShared {
    alignas(64) std::atomic<uint64_t> head;  // bytes ever written
    alignas(64) std::atomic<uint64_t> tail;  // bytes ever read
    alignas(64) std::atomic<uint32_t> bell;  // what a sleeping reader waits on
    std::atomic<uint32_t> sleeping;
};

enum RecordFlag : uint32_t {
    kMore = 1,    // the frame goes on in the next record
    kByFile = 2,  // the bytes are in a file that comes over the socket
};

/// One end of a one-way queue of records in shared memory: one process writes, the other reads.
/// Not thread-safe: each end has one user at a time.
class Ring {
public:
    Ring(RingShared* shared, char* area, uint64_t size)
        : shared_(shared), area_(area), size_(size) {}

    /// What one record may hold.
    static constexpr size_t kMaxRecord = 64 * 1024;

    /// False: no room. `position` becomes the place behind the record.
    bool Write(std::string_view bytes, uint32_t flags, uint64_t size, uint64_t* position);
    /// Whether Write would take that many bytes. Only the reader makes more room.
    bool HasRoom(uint64_t bytes) const;
    /// Wakes the reader if it said that it sleeps.
    void Notify();

    enum class Got { kRecord = 1, kNothing, kBroken };
    /// Copies the next record out and frees its room. kBroken: the other side broke the rules.
    Got Read(std::string& bytes, uint32_t& flags, uint64_t& size);
    /// Waits for a record: first awake for `spin`, then asleep, at most for `time`.
    void Wait(std::chrono::nanoseconds spin, std::chrono::nanoseconds time);
    bool empty() const;
    /// How far the other side has read, for a writer.
    uint64_t read_position() const;
    /// Ends a Wait of the reader.
    void Interrupt();

private:
    RingShared* const shared_;
    char* const area_;
    const uint64_t size_;
    uint64_t own_ = 0;  // our own position: never read back from the shared part
};

}  // namespace opensend::plugin::worker
