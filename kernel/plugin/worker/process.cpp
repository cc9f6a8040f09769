#include "kernel/plugin/worker/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <utility>

#include <spawn.h>

#include "kernel/plugin/worker/calls.h"
#include "kernel/plugin/worker/sanitizer.h"

namespace opensend::plugin::worker {
namespace {

/// File actions and attributes of posix_spawn: what happens in the child is async-signal-safe.
class SpawnPlan {
public:
    SpawnPlan(int socket, int plugin_file) {
        posix_spawn_file_actions_init(&actions_);
        posix_spawnattr_init(&attributes_);
        for (int fd = 0; fd <= kLastQuiet; ++fd)
            posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", O_RDWR, 0);
        posix_spawn_file_actions_adddup2(&actions_, socket, kSocketFd);
        posix_spawn_file_actions_adddup2(&actions_, plugin_file, kPluginFd);
        posix_spawn_file_actions_addclosefrom_np(&actions_, kPluginFd + 1);
        sigset_t all, none;
        sigfillset(&all);
        sigemptyset(&none);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID
        );
    }
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
    const posix_spawn_file_actions_t* actions() const { return &actions_; }
    const posix_spawnattr_t* attributes() const { return &attributes_; }

private:
#if OPENSEND_SANITIZER
    static constexpr int kLastQuiet = 1;  // reports of a sanitizer shall be seen
#else
    static constexpr int kLastQuiet = 2;
#endif
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

std::string SignalText(int signal, const SharedPage& page) {
    if (page.memory_out.load() == 1) return "out of memory";
    const char* name = sigabbrev_np(signal);
    std::string text =
        name == nullptr ? base::Cat("killed by signal ", signal) : base::Cat("killed by SIG", name);
    const uint32_t number = page.syscall.load();
    if (signal == SIGSYS && number != 0) text += base::Cat(" (", CallName(number - 1), ")");
    return text;
}

int WaitId(int handle, siginfo_t& info, int flags) {
    return waitid(
        static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(handle), &info, WEXITED | flags
    );
}

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

std::string FindProgram(const std::string& given) {
    if (!given.empty()) return given;
    std::array<char, 4096> own{};
    const ssize_t length = readlink("/proc/self/exe", own.data(), own.size() - 1);
    if (length <= 0) return "opensend-plugin-worker";
    const std::string folder = FolderOf(std::string(own.data(), static_cast<size_t>(length)));
    const std::string beside = folder + "/opensend-plugin-worker";
    if (access(beside.c_str(), X_OK) == 0) return beside;
    return FolderOf(folder) + "/libexec/opensend/opensend-plugin-worker";
}

Checked<std::unique_ptr<Process>> Process::Start(
    const std::string& program, int socket, int plugin_file, const Limits& limits
) {
    // Away from the numbers they get in the child, where one would overwrite the other.
    const Descriptor socket_copy(fcntl(socket, F_DUPFD_CLOEXEC, 32));
    const Descriptor file_copy(fcntl(plugin_file, F_DUPFD_CLOEXEC, 32));
    const SpawnPlan plan(socket_copy.get(), file_copy.get());
    std::string name = "opensend-plugin-worker", memory = base::Cat(limits.memory),
                threads = limits.threads ? "1" : "0", language = "LC_ALL=C.UTF-8";
    char* const arguments[] = {name.data(), memory.data(), threads.data(), nullptr};
    char* const environment[] = {language.data(), nullptr};
    pid_t pid = 0;
    const int failed = posix_spawn(
        &pid, program.c_str(), plan.actions(), plan.attributes(), arguments, environment
    );
    if (failed != 0)
        return Refuse("worker", base::Cat("the program ", program), std::strerror(failed));
    // It is our child and nobody else collects it: the number cannot belong to another one yet.
    Descriptor handle(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!handle.open()) {
        const int code = errno;
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        return Refuse("worker", "a process handle", std::strerror(code));
    }
    return std::unique_ptr<Process>(new Process(pid, std::move(handle)));
}

Process::~Process() {
    Kill();
    base::MutexLock lock(mutex_);
    siginfo_t info{};
    while (!end_ && WaitId(handle_.get(), info, 0) != 0 && errno == EINTR) {
    }
}

void Process::Kill() {
    base::MutexLock lock(mutex_);
    if (!end_) syscall(SYS_pidfd_send_signal, handle_.get(), SIGKILL, nullptr, 0);
}

std::optional<std::string> Process::WaitForEnd(
    std::chrono::milliseconds time, const SharedPage& page
) {
    pollfd waiting{handle_.get(), POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(time.count())) != 1) return std::nullopt;
    base::MutexLock lock(mutex_);
    if (end_) return end_;
    siginfo_t info{};
    if (WaitId(handle_.get(), info, WNOHANG) != 0 || info.si_pid == 0) return std::nullopt;
    if (info.si_code != CLD_EXITED) {
        end_ = SignalText(info.si_status, page);
    } else if (page.memory_out.load() == 1) {
        end_ = "out of memory";
    } else {
        end_ = base::Cat("exited with status ", info.si_status);
    }
    return end_;
}

}  // namespace opensend::plugin::worker
