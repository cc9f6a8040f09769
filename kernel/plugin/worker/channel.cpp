#include "kernel/plugin/worker/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <thread>
#include <utility>

namespace opensend::plugin::worker {
namespace {

constexpr size_t kPage = 4096, kCalls = size_t{1} << 20, kReplies = size_t{1} << 19,
                 kAnswers = size_t{1} << 20, kShared = kPage + kCalls + kReplies + kAnswers;
static_assert(sizeof(SharedPage) <= kPage);
static_assert(std::atomic<uint64_t>::is_always_lock_free);
constexpr int kSizeSeals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
constexpr auto kLongestSpin = std::chrono::microseconds(50);
constexpr auto kDense = std::chrono::microseconds(100);
constexpr std::chrono::nanoseconds kLongestGap = std::chrono::milliseconds(2);
constexpr int kFileWaitMs = 2000;
// Asked before main: later a worker may not open the file that says it.
const bool kCanSpin = std::thread::hardware_concurrency() > 1;

bool SendDescriptor(int socket, int fd) {
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

Descriptor ReceiveDescriptor(int socket) {
    pollfd waiting{socket, POLLIN, 0};
    if (poll(&waiting, 1, kFileWaitMs) != 1) return Descriptor();
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1) return Descriptor();
    const cmsghdr* head = CMSG_FIRSTHDR(&message);
    if (head == nullptr || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
        return Descriptor();
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
    return Descriptor(fd);
}

SharedPage* MapShared(int fd) {
    void* place = mmap(nullptr, kShared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return place == MAP_FAILED ? nullptr : static_cast<SharedPage*>(place);
}

Descriptor MakeFile(std::string_view bytes) {
    Descriptor file(memfd_create("opensend-message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    while (file.open() && !bytes.empty()) {
        const ssize_t done = write(file.get(), bytes.data(), bytes.size());
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return Descriptor();
        bytes.remove_prefix(static_cast<size_t>(done));
    }
    if (file.open() && fcntl(file.get(), F_ADD_SEALS, kSizeSeals | F_SEAL_WRITE) != 0)
        return Descriptor();
    return file;
}

Problem ChannelProblem(const char* what) {
    return {"worker", base::Cat("shared memory and a socket (", what, ")"), std::strerror(errno)};
}

}  // namespace

Channel::Channel(Descriptor socket, SharedPage* page) : socket_(std::move(socket)), page_(page) {
    char* area = reinterpret_cast<char*>(page) + kPage;
    calls_ = std::make_unique<Ring>(&page->calls, area, kCalls);
    replies_ = std::make_unique<Ring>(&page->replies, area + kCalls, kReplies);
    answers_ = std::make_unique<Ring>(&page->answers, area + kCalls + kReplies, kAnswers);
}

Channel::~Channel() { munmap(page_, kShared); }

Checked<std::unique_ptr<Channel>> Channel::Make(Descriptor& peer) {
    int ends[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return base::Failure{ChannelProblem("socketpair")};
    Descriptor ours(ends[0]);
    peer = Descriptor(ends[1]);
    const Descriptor memory(memfd_create("opensend-worker", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory.open() || ftruncate(memory.get(), static_cast<off_t>(kShared)) != 0 ||
        fcntl(memory.get(), F_ADD_SEALS, kSizeSeals) != 0)
        return base::Failure{ChannelProblem("memfd")};
    SharedPage* page = MapShared(memory.get());
    if (page == nullptr) return base::Failure{ChannelProblem("mmap")};
    page->version = kFrameVersion;
    std::unique_ptr<Channel> channel(new Channel(std::move(ours), page));
    if (!SendDescriptor(channel->socket(), memory.get()))
        return base::Failure{ChannelProblem("sendmsg")};
    return channel;
}

std::unique_ptr<Channel> Channel::Attach(Descriptor socket) {
    const Descriptor memory = ReceiveDescriptor(socket.get());
    if (!memory.open()) return nullptr;
    SharedPage* page = MapShared(memory.get());
    if (page == nullptr) return nullptr;
    std::unique_ptr<Channel> channel(new Channel(std::move(socket), page));
    return page->version == kFrameVersion ? std::move(channel) : nullptr;
}

bool Channel::PeerGone() const {
    pollfd waiting{socket_.get(), 0, 0};
    return poll(&waiting, 1, 0) == 1 && (waiting.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

std::optional<Parcel> Sender::Pack(const Frame& frame, bool files) {
    Parcel parcel;
    if (!Encode(frame, parcel.bytes)) return std::nullopt;
    parcel.size = parcel.bytes.size();
    if (!files || parcel.size <= Ring::kMaxRecord) return parcel;
    parcel.file = MakeFile(parcel.bytes);
    if (!parcel.file.open()) return std::nullopt;
    parcel.bytes = {};
    return parcel;
}

bool Sender::Send(const Parcel& parcel, uint64_t* position) {
    if (parcel.file.open()) {
        // The file first: once its record is readable the worker waits for it.
        if (!ring_.HasRoom(0) || !SendDescriptor(socket_, parcel.file.get())) return false;
        if (!ring_.Write({}, kByFile, parcel.size, position)) return false;
    } else if (!ring_.Write(parcel.bytes, 0, parcel.size, position)) {
        return false;
    }
    ring_.Notify();
    return true;
}

bool Sender::SendInPieces(const Parcel& parcel, std::chrono::milliseconds time) {
    std::string_view rest = parcel.bytes;
    const auto until = std::chrono::steady_clock::now() + time;
    do {
        const std::string_view piece = rest.substr(0, Ring::kMaxRecord);
        const bool more = piece.size() < rest.size();
        while (!ring_.Write(piece, more ? uint32_t{kMore} : 0u, parcel.size, nullptr)) {
            if (std::chrono::steady_clock::now() > until) return false;
            ring_.Notify();
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
        rest.remove_prefix(piece.size());
    } while (!rest.empty());
    ring_.Notify();
    return true;
}

Receiver::Got Receiver::Receive(std::string& bytes) {
    for (;;) {
        uint32_t flags = 0;
        uint64_t size = 0;
        const Ring::Got got = ring_.Read(record_, flags, size);
        if (got == Ring::Got::kBroken) return Got::kBroken;
        if (got == Ring::Got::kNothing) return Got::kNothing;
        const auto now = std::chrono::steady_clock::now();
        gap_ = (gap_ * 3 + std::min<std::chrono::nanoseconds>(now - last_, kLongestGap)) / 4;
        last_ = now;
        if ((flags & kByFile) != 0) {
            if (!files_ || !parts_.empty()) return Got::kBroken;
            return ReadFile(size, bytes) ? Got::kFrame : Got::kBroken;
        }
        const bool more = (flags & kMore) != 0;
        if (!more && parts_.empty()) {
            bytes.swap(record_);
            return Got::kFrame;
        }
        if (parts_.size() + record_.size() > kMaxFrame) return Got::kBroken;
        parts_ += record_;
        if (more) continue;
        bytes = std::exchange(parts_, {});
        return Got::kFrame;
    }
}

bool Receiver::ReadFile(uint64_t size, std::string& bytes) {
    const Descriptor file = ReceiveDescriptor(socket_);
    // Not fstat: in the C library that is a call with a path.
    if (!file.open() || size > kMaxFrame ||
        lseek(file.get(), 0, SEEK_END) != static_cast<off_t>(size))
        return false;
    bytes.resize(size);
    size_t done = 0;
    while (done < size) {
        const ssize_t got =
            pread(file.get(), bytes.data() + done, size - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += static_cast<size_t>(got);
    }
    return true;
}

void Receiver::Wait(std::chrono::nanoseconds time) {
    const bool dense = kCanSpin && gap_ < kDense;
    ring_.Wait(
        dense ? std::min<std::chrono::nanoseconds>(kLongestSpin, time)
              : std::chrono::nanoseconds(0),
        time
    );
    // An idle line is not dense any more.
    if (ring_.empty()) gap_ = std::min<std::chrono::nanoseconds>(gap_ * 4, kLongestGap);
}

}  // namespace opensend::plugin::worker
