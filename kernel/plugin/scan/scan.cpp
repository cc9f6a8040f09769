#include "kernel/plugin/scan/scan.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <spawn.h>

#include "kernel/plugin/scan/answer.h"

namespace opensend::plugin {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr int kFirstFree = 10;  // above the descriptors that the process gets
constexpr int kPluginFd = 3, kAnswerFd = 4;

std::string ErrorReason(int error) {
    std::array<char, 256> buffer{};
    return strerror_r(error, buffer.data(), buffer.size());
}

base::Failure<Problem> NoProcess(int error) {
    return Refuse("scan", "a process that loads it first", ErrorReason(error));
}

/// What the new process gets: nothing to read, nowhere to write but the answer.
class SpawnPlan {
public:
    SpawnPlan(int plugin, int answer) {
        posix_spawn_file_actions_init(&files_);
        posix_spawn_file_actions_addopen(&files_, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&files_, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addopen(&files_, 2, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_adddup2(&files_, plugin, kPluginFd);
        posix_spawn_file_actions_adddup2(&files_, answer, kAnswerFd);
        posix_spawn_file_actions_addclosefrom_np(&files_, kAnswerFd + 1);
        sigset_t all, none;
        sigfillset(&all);
        sigemptyset(&none);
        posix_spawnattr_init(&attributes_);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    }
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&files_);
        posix_spawnattr_destroy(&attributes_);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;

    /// 0, or an error number. The environment holds secrets; only the way to libraries is passed.
    int Start(const std::vector<std::string>& program, pid_t& process) const {
        std::vector<std::string> texts = program, variables;
        for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
            if (std::strncmp(*at, "LD_LIBRARY_PATH=", 16) == 0) variables.emplace_back(*at);
        }
        const auto pointers = [](std::vector<std::string>& from) {
            std::vector<char*> out;
            for (std::string& text : from) out.push_back(text.data());
            out.push_back(nullptr);
            return out;
        };
        const auto arguments = pointers(texts), environment = pointers(variables);
        return posix_spawn(
            &process, program.front().c_str(), &files_, &attributes_, arguments.data(),
            environment.data()
        );
    }

private:
    posix_spawn_file_actions_t files_;
    posix_spawnattr_t attributes_;
};

/// Reads until the other side closes or the time is up.
std::string ReadAnswer(int fd, SteadyClock::time_point end) {
    std::string out;
    std::array<char, 1024> buffer{};
    while (out.size() < kMaxScanAnswer) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(end - SteadyClock::now()).count();
        pollfd waits{fd, POLLIN, 0};
        const int ready = poll(&waits, 1, static_cast<int>(std::max<int64_t>(left, 0)));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) break;
        const ssize_t got = read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        out.append(buffer.data(), static_cast<size_t>(got));
    }
    return out;
}

/// Whether it ends before that time.
bool EndsBefore(pid_t process, SteadyClock::time_point end) {
    const Descriptor handle(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
    for (;;) {
        const int64_t left = std::max<int64_t>(
            0,
            std::chrono::duration_cast<std::chrono::milliseconds>(end - SteadyClock::now()).count()
        );
        // Without a handle, as in some containers, it is asked now and then.
        const bool has_handle = handle.get() >= 0;
        pollfd waits{handle.get(), POLLIN, 0};
        const int64_t pause = has_handle ? left : std::min<int64_t>(left, 5);
        if (poll(&waits, 1, static_cast<int>(pause)) > 0 && has_handle) return true;
        siginfo_t ended{};
        const bool known =
            waitid(P_PID, static_cast<id_t>(process), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            ended.si_pid == process;
        if (known) return true;
        if (left == 0) return false;
    }
}

/// Its wait status; nullopt: it had to be ended.
std::optional<int> WaitUntil(pid_t process, SteadyClock::time_point end) {
    const bool ended = EndsBefore(process, end);
    if (!ended) kill(process, SIGKILL);
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    return ended ? std::optional(status) : std::nullopt;
}

std::string DeathOf(int status) {
    if (!WIFSIGNALED(status)) return base::Cat("exit ", WEXITSTATUS(status), " without an answer");
    const int signal = WTERMSIG(status);
    if (signal == SIGSYS) return "a system call that loading does not need";
    const char* name = sigabbrev_np(signal);
    return base::Cat("a process ended by SIG", name == nullptr ? "?" : name);
}

struct ScanResult {
    std::optional<Problem> problem;
    bool definite = true;  // the same would come of it tomorrow
};

ScanResult ScanNow(const PluginFile& file, const GatePolicy& policy) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return {NoProcess(errno).error, false};
    const Descriptor reads(ends[0]);
    Descriptor writes(ends[1]);
    Descriptor answer(fcntl(writes.get(), F_DUPFD_CLOEXEC, kFirstFree));
    const Descriptor plugin(fcntl(file.fd(), F_DUPFD_CLOEXEC, kFirstFree));
    if (answer.get() < 0 || plugin.get() < 0) return {NoProcess(errno).error, false};
    pid_t process = 0;
    const int failed = SpawnPlan(plugin.get(), answer.get()).Start(policy.scan_program, process);
    if (failed != 0) return {NoProcess(failed).error, false};
    writes = Descriptor();
    answer = Descriptor();
    const auto end = SteadyClock::now() + policy.scan_timeout;
    const std::string text = ReadAnswer(reads.get(), end);
    const auto status = WaitUntil(process, end);
    if (!status) {
        const std::string limit = base::Cat("an end within ", policy.scan_timeout.count(), " ms");
        return {
            Problem{"scan", limit, "a process that still ran"},
            false
        };
    }
    const auto found = ParseAnswer(text);
    if (found && WIFEXITED(*status) && WEXITSTATUS(*status) == 0) {
        // What the loader misses may be installed tomorrow.
        const bool definite = !*found || (*found)->step != "load";
        return {*found, definite};
    }
    // Somebody ended it, or memory was short: no fault of the file.
    const bool killed = WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL;
    return {
        Problem{"scan", "a file that loads", DeathOf(*status)},
        !killed
    };
}

std::string VerdictPath(const PluginFile& file, const GatePolicy& policy) {
    if (policy.verdicts.empty()) return {};
    std::string version = policy.server_version;
    std::replace(version.begin(), version.end(), '/', '_');
    return base::Cat(policy.verdicts, "/", file.sha256(), "-", version);
}

}  // namespace

Checked<std::string> ScanOnce(const PluginFile& file, const GatePolicy& policy) {
    if (policy.scan_program.empty()) return std::string("not asked for");
    const std::string path = VerdictPath(file, policy);
    if (!path.empty()) {
        if (auto known = RecallVerdict(path)) {
            if (!*known) return std::string("good before");
            (*known)->found += base::Cat(" (remembered; without ", path, " it is tried again)");
            return base::Failure{std::move(**known)};
        }
    }
    ScanResult result = ScanNow(file, policy);
    if (result.definite && !path.empty()) RememberVerdict(path, result.problem);
    if (result.problem) return base::Failure{std::move(*result.problem)};
    return std::string("loads and leaves the process as it was");
}

}  // namespace opensend::plugin
