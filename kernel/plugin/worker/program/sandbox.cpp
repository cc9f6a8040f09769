#include "kernel/plugin/worker/program/sandbox.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <new>

#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>

#include "kernel/plugin/worker/calls.h"
#include "kernel/plugin/worker/sanitizer.h"

namespace opensend::plugin::worker {
namespace {

constexpr rlim_t kMaxFiles = 64;
constexpr size_t kSpare = size_t{8} << 20;
constexpr int kNoMemoryExit = 4;

SharedPage* g_page = nullptr;

void OnForbiddenCall(int, siginfo_t* info, void*) {
    g_page->syscall.store(static_cast<uint32_t>(info->si_syscall) + 1);
    // Once more, while the signal is blocked: now the kernel ends the process with it.
    syscall(info->si_syscall, 0, 0, 0, 0, 0, 0);
    _exit(kNoMemoryExit);
}

void OnCrash(int signal) {
    void* spare = mmap(nullptr, kSpare, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (spare == MAP_FAILED && errno == ENOMEM) g_page->memory_out.store(1);
    // The instruction runs again, without us. A signal that was sent is sent once more.
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    sigaction(signal, &standard, nullptr);
    if (signal == SIGABRT) raise(signal);
}

void OnNoMemory() {
    g_page->memory_out.store(1);
    _exit(kNoMemoryExit);
}

void Limit(__rlimit_resource resource, rlim_t value) {
    const rlimit limit{value, value};
    setrlimit(resource, &limit);
}

/// No path is left. Kernels without it: seccomp alone keeps files away.
void CloseFileSystem() {
    landlock_ruleset_attr rules{};
    rules.handled_access_fs = (uint64_t{LANDLOCK_ACCESS_FS_MAKE_SYM} << 1) - 1;
    const long fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof rules.handled_access_fs, 0);
    if (fd < 0) return;
    syscall(SYS_landlock_restrict_self, fd, 0);
    close(static_cast<int>(fd));
}

// What memory, threads, time, the ring and the end of the process need.
constexpr int kAllowed[] = {
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(fstat),
    SCMP_SYS(lseek),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(getrandom),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(membarrier),
    SCMP_SYS(getrusage),
#if OPENSEND_SANITIZER
    // The runtime of a sanitizer looks at itself and starts a thread to do so.
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(openat),
    SCMP_SYS(readlink),
    SCMP_SYS(prctl),
    SCMP_SYS(newfstatat),
    SCMP_SYS(getrlimit),
    SCMP_SYS(prlimit64),

    SCMP_SYS(getdents64),
    SCMP_SYS(personality),
    SCMP_SYS(pipe2),
    SCMP_SYS(ioctl),
#endif
};

/// The allow-list; anything else ends the process, a known attempt with its name.
class Filter {
public:
    Filter() : filter_(seccomp_init(SCMP_ACT_KILL_PROCESS)) {}
    ~Filter() { seccomp_release(filter_); }
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    bool Build(const Limits& limits) {
        for (const int call : kAllowed) Add(SCMP_ACT_ALLOW, call, {});
        AllowMemory();
        Add(SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
            {SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(getpid()))});
        // Nobody else may say what happens at a forbidden call.
        Add(SCMP_ACT_ALLOW, SCMP_SYS(rt_sigaction), {SCMP_A0(SCMP_CMP_NE, SIGSYS)});
        Add(SCMP_ACT_ALLOW, SCMP_SYS(fcntl), {SCMP_A1(SCMP_CMP_EQ, 1 /* F_GETFD */)});
        if (limits.threads) {
            Add(SCMP_ACT_ALLOW, SCMP_SYS(clone),
                {SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM)});
        }
        // Printing asks what kind of file it prints to, and goes on without an answer.
        if (OPENSEND_SANITIZER == 0) Add(SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), {});
        // Without its flags in a register it cannot be judged; the C library falls back to clone.
        Add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), {});
        for (const NamedCall& call : kNamedCalls) {
            const int number = static_cast<int>(call.number);
            if (limits.threads && number == SCMP_SYS(clone)) continue;
            if (!Allowed(number)) Add(SCMP_ACT_TRAP, number, {});
        }
        return good_ && seccomp_attr_set(filter_, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
               seccomp_attr_set(filter_, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0;
    }
    bool Load() { return seccomp_load(filter_) == 0; }

private:
    void AllowMemory() {
        if (OPENSEND_SANITIZER != 0) return;
        // Nothing new becomes code.
        Add(SCMP_ACT_ALLOW, SCMP_SYS(mmap), {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)});
        Add(SCMP_ACT_ALLOW, SCMP_SYS(mprotect), {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)});
        Add(SCMP_ACT_ALLOW, SCMP_SYS(prctl), {SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)});
    }
    static bool Allowed(int number) {
        for (const int call : kAllowed) {
            if (call == number) return true;
        }
        return false;
    }
    void Add(uint32_t action, int call, std::initializer_list<scmp_arg_cmp> conditions) {
        const int failed = seccomp_rule_add_array(
            filter_, action, call, static_cast<unsigned>(conditions.size()), conditions.begin()
        );
        good_ = good_ && failed == 0;
    }

    scmp_filter_ctx filter_;
    bool good_ = true;
};

}  // namespace

void Separate() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Limit(RLIMIT_CORE, 0);
    // Each one by itself: kernels differ in which they give to whom.
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) != 0) {
        unshare(CLONE_NEWNET);
        unshare(CLONE_NEWIPC);
    }
}

void ReportDeaths(SharedPage& page) {
    g_page = &page;
    std::set_new_handler(OnNoMemory);
    struct sigaction forbidden {};
    forbidden.sa_sigaction = OnForbiddenCall;
    forbidden.sa_flags = SA_SIGINFO;
    sigaction(SIGSYS, &forbidden, nullptr);
    if (OPENSEND_SANITIZER != 0) return;
    struct sigaction crash {};
    crash.sa_handler = OnCrash;
    crash.sa_flags = SA_ONSTACK;
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT}) sigaction(signal, &crash, nullptr);
}

std::string Confine(const Limits& limits) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "no_new_privs";
    prctl(PR_SET_DUMPABLE, 0);
    if (OPENSEND_SANITIZER == 0) {
        Limit(RLIMIT_AS, limits.memory);
        CloseFileSystem();
    }
    Limit(RLIMIT_NOFILE, kMaxFiles);
    Limit(RLIMIT_FSIZE, 0);
    if (!limits.threads && OPENSEND_SANITIZER == 0) Limit(RLIMIT_NPROC, 0);
    Filter filter;
    if (!filter.Build(limits)) return "the filter of system calls";
    return filter.Load() ? "" : "seccomp";
}

}  // namespace opensend::plugin::worker
