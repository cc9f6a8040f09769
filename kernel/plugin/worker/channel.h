#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "kernel/base/mutex.h"
#include "kernel/plugin/load/descriptor.h"
#include "kernel/plugin/load/problem.h"
#include "kernel/plugin/worker/frame.h"
#include "kernel/plugin/worker/ring.h"

namespace opensend::plugin::worker {

/// The first page of the shared memory. The worker may put anything into it.
struct SharedPage {
    uint32_t version, _r;
    std::atomic<uint64_t> beat;        // changes while the worker's main thread lives
    std::atomic<uint32_t> syscall;     // the forbidden call it is about to die of, plus 1
    std::atomic<uint32_t> memory_out;  // 1: it found no memory
    RingShared calls, replies, answers;
};

/// The memory two processes share, and the socket between them for descriptors.
class Channel {
public:
    /// Makes both; `peer` becomes the worker's end of the socket.
    static Checked<std::unique_ptr<Channel>> Make(Descriptor& peer);
    /// The worker's side: takes the memory that comes over the socket. Null: none came.
    static std::unique_ptr<Channel> Attach(Descriptor socket);
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    SharedPage& page() { return *page_; }
    Ring& calls() { return *calls_; }
    Ring& replies() { return *replies_; }
    Ring& answers() { return *answers_; }
    int socket() const { return socket_.get(); }
    /// True when nobody holds the other end any more.
    bool PeerGone() const;

private:
    Channel(Descriptor socket, SharedPage* page);
    Descriptor socket_;
    SharedPage* page_;
    std::unique_ptr<Ring> calls_, replies_, answers_;
};

/// A frame ready to be sent: bytes, or a sealed file when they are many.
struct Parcel {
    std::string bytes;
    Descriptor file;
    uint64_t size = 0;
};

/// The writing end of one ring. Not thread-safe.
class Sender {
public:
    Sender(Ring& ring, int socket) : ring_(ring), socket_(socket) {}

    /// nullopt: the frame is not readable or too large. With `files`, what fits no record goes into
    /// a file.
    static std::optional<Parcel> Pack(const Frame& frame, bool files);
    /// All or nothing; false: no room now. `position` is what the reader's position is compared
    /// with.
    bool Send(const Parcel& parcel, uint64_t* position = nullptr);
    /// Sends in pieces and waits for room, at most for `time`. False: the reader does not read.
    bool SendInPieces(const Parcel& parcel, std::chrono::milliseconds time);

private:
    Ring& ring_;
    const int socket_;
};

/// The reading end of one ring, with a spin that follows the traffic. Not thread-safe.
class Receiver {
public:
    /// `files`: the other side may send files. Only the worker allows that.
    Receiver(Ring& ring, int socket, bool files) : ring_(ring), socket_(socket), files_(files) {}

    enum class Got { kFrame = 1, kNothing, kBroken };
    /// The next whole frame.
    Got Receive(std::string& bytes);
    void Wait(std::chrono::nanoseconds time);

private:
    bool ReadFile(uint64_t size, std::string& bytes);

    Ring& ring_;
    const int socket_;
    const bool files_;
    std::string record_, parts_;
    std::chrono::steady_clock::time_point last_{};
    std::chrono::nanoseconds gap_{std::chrono::milliseconds(2)};
};

}  // namespace opensend::plugin::worker
