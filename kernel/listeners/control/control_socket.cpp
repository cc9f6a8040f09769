#include "kernel/listeners/control/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernel/base/error.h"
#include "kernel/base/scope_exit.h"
#include "kernel/base/text.h"
#include "kernel/runtime/log.h"

namespace opensend::control {
namespace {

constexpr const char* kFileName = "control.sock";
constexpr size_t kMaxCommand = 256;
constexpr size_t kMaxAnswer = 16 * 1024 * 1024;
constexpr int kTurnMs = 200;
constexpr int kClientPatienceS = 5;
// A reload waits for what is under way.
constexpr int kAnswerPatienceS = 300;

struct Address {
    sockaddr_un name{};
    socklen_t length = 0;
};

/// The socket by way of its opened folder: the path may be longer than an address can hold.
Address AddressIn(int folder) {
    Address out;
    out.name.sun_family = AF_UNIX;
    const std::string path = base::Cat("/proc/self/fd/", folder, "/", kFileName);
    path.copy(out.name.sun_path, sizeof out.name.sun_path - 1);
    out.length = sizeof out.name;
    return out;
}

int NewSocket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }

void SetPatience(int fd, int seconds) {
    const timeval time{seconds, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

/// Connected, or -1.
int ConnectIn(int folder) {
    const int fd = NewSocket();
    if (fd < 0) return -1;
    const Address address = AddressIn(folder);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address.name), address.length) == 0)
        return fd;
    close(fd);
    return -1;
}

/// Bound and listening with nobody else's access, or -1.
int ListenIn(int folder) {
    const int other = ConnectIn(folder);
    if (other >= 0) {
        close(other);
        errno = EADDRINUSE;
        return -1;
    }
    unlinkat(folder, kFileName, 0);
    const int fd = NewSocket();
    if (fd < 0) return -1;
    const Address address = AddressIn(folder);
    // The mode of the socket's own descriptor becomes that of the file: never open, not even now.
    const bool good =
        fchmod(fd, 0600) == 0 &&
        bind(fd, reinterpret_cast<const sockaddr*>(&address.name), address.length) == 0 &&
        fchmodat(folder, kFileName, 0600, 0) == 0 && listen(fd, 16) == 0;
    if (good) return fd;
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
}

bool IsOwnUser(int client) {
    ucred who{};
    socklen_t length = sizeof who;
    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0) return false;
    return who.uid == geteuid() || who.uid == 0;
}

bool SendAll(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        text.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
}

}  // namespace

ControlSocket::ControlSocket(const std::string& folder, Answer answer)
    : folder_(folder), answer_(std::move(answer)) {
    const int place = open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place >= 0) {
        fd_ = ListenIn(place);
        const int error = errno;
        close(place);
        errno = error;
    }
    if (fd_ < 0) {
        OPENSEND_LOG(
            kWarn, "control.off", "commands cannot reach this process",
            kv("reason", std::strerror(errno))
        );
        return;
    }
    worker_ = std::make_unique<runtime::Worker>("control", [this](runtime::StopToken& stop) {
        Serve(stop);
    });
}

ControlSocket::~ControlSocket() {
    worker_.reset();
    if (fd_ < 0) return;
    close(fd_);
    const int place = open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place < 0) return;
    unlinkat(place, kFileName, 0);
    close(place);
}

void ControlSocket::Serve(runtime::StopToken& stop) {
    while (!stop.stopped()) {
        pollfd waiting{fd_, POLLIN, 0};
        if (poll(&waiting, 1, kTurnMs) <= 0) continue;
        const int client = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) {
            stop.SleepFor(std::chrono::milliseconds(kTurnMs));
            continue;
        }
        const base::ScopeExit close_it([client] { close(client); });
        Talk(client);
    }
}

void ControlSocket::Talk(int client) {
    if (!IsOwnUser(client)) return;
    SetPatience(client, kClientPatienceS);
    std::string command;
    while (command.find('\n') == std::string::npos) {
        char buffer[kMaxCommand];
        const ssize_t got = recv(client, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0 || command.size() + static_cast<size_t>(got) > kMaxCommand) return;
        command.append(buffer, static_cast<size_t>(got));
    }
    command.resize(command.find('\n'));
    const auto answer = answer_(command);
    SendAll(client, answer ? *answer : std::string(R"({"error":"unknown command"})"));
}

std::optional<std::string> Ask(const std::string& folder, std::string_view command) {
    const int place = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place < 0) return std::nullopt;
    const int fd = ConnectIn(place);
    close(place);
    if (fd < 0) return std::nullopt;
    const base::ScopeExit close_it([fd] { close(fd); });
    SetPatience(fd, kAnswerPatienceS);
    std::string answer;
    bool good = SendAll(fd, base::Cat(command, '\n'));
    while (good) {
        char buffer[16 * 1024];
        const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) break;
        good = got > 0 && answer.size() < kMaxAnswer;
        if (good) answer.append(buffer, static_cast<size_t>(got));
    }
    if (!good || answer.empty())
        throw base::Unavailable("control_unavailable", "the running server does not answer");
    return answer;
}

}  // namespace opensend::control
