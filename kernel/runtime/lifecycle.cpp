#include "kernel/runtime/lifecycle.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include "kernel/base/check.h"
#include "kernel/runtime/log.h"

namespace opensend::runtime {
namespace {

constexpr int kInterruptedExit = 130;

sigset_t StopSignals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

extern "C" void ExitAtOnce(int) { ::_exit(kInterruptedExit); }

/// The next stop signal reaches a handler that works however busy the process is.
void ArmSecondSignal() {
    struct sigaction action {};
    action.sa_handler = ExitAtOnce;
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    const auto set = StopSignals();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void RunHangup(const std::function<void()>& on_hangup) {
    try {
        if (on_hangup) on_hangup();
    } catch (const std::exception& error) {
        OPENSEND_LOG(
            kError, "reload.failed", "the configuration was not read again",
            kv("error", error.what())
        );
    }
}

}  // namespace

void BlockSignals() {
    auto set = StopSignals();
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, nullptr);
}

void WaitForStop(const std::function<void()>& on_hangup) {
    auto set = StopSignals();
    sigaddset(&set, SIGHUP);
    for (;;) {
        int signal = 0;
        OPENSEND_CHECK(sigwait(&set, &signal) == 0, "sigwait takes a valid set");
        if (signal != SIGHUP) break;
        RunHangup(on_hangup);
    }
    ArmSecondSignal();
}

void ProtectMemory(bool allow_core_dumps) {
    if (allow_core_dumps) return;
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool NotifySystemd(std::string_view state) {
    const char* path = std::getenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe): never set
    if (path == nullptr || (path[0] != '/' && path[0] != '@')) return false;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const size_t length = std::strlen(path);
    if (length >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = '\0';
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    const ssize_t sent = ::sendto(
        fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
        size
    );
    ::close(fd);
    return sent == static_cast<ssize_t>(state.size());
}

}  // namespace opensend::runtime
