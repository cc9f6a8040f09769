#include "kernel/plugin/scan/sandbox.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>

namespace opensend::plugin {
namespace {

#if defined(__aarch64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;
#endif
constexpr unsigned kRefused = SECCOMP_RET_ERRNO | EPERM;
constexpr unsigned kWriting = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;

/// What loading, allocating, threads of this process and an orderly end take.
constexpr long kHarmless[] = {
    SYS_read,
    SYS_pread64,
    SYS_readv,
    SYS_write,
    SYS_writev,
    SYS_close,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_lseek,
    SYS_mmap,
    SYS_mprotect,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_futex,
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_getpid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getrandom,
    SYS_rseq,
    SYS_set_robust_list,
    SYS_set_tid_address,
    SYS_sysinfo,
    SYS_uname,
    SYS_sched_yield,
    SYS_readlinkat,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_getcwd,
    SYS_chdir,
    SYS_umask,
    SYS_getdents64,
    SYS_getrusage,
    SYS_sched_getaffinity,
    SYS_fcntl,
    SYS_membarrier,
    SYS_clock_nanosleep,
    SYS_restart_syscall,
    SYS_mincore,
    SYS_dup,
#if defined(__x86_64__)
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_arch_prctl,
    SYS_time,
    SYS_pause,
#endif
#if defined(OPENSEND_SANITIZED)
    // Sanitizers probe memory with a pipe.
    SYS_pipe2,
#if defined(__x86_64__)
    SYS_pipe,
#endif
#endif
};
/// What a file does that has more in mind than being loaded.
constexpr long kDeadly[] = {
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_sendto,
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_kill,
    SYS_unlinkat,
    SYS_renameat2,
    SYS_linkat,
    SYS_symlinkat,
    SYS_mkdirat,
    SYS_fchmodat,
    SYS_fchownat,
    SYS_mount,
    SYS_setuid,
    SYS_setgid,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_bpf,
    SYS_io_uring_setup,
    SYS_unshare,
    SYS_setns,
#if defined(__x86_64__)
    SYS_fork,
    SYS_vfork,
    SYS_unlink,
    SYS_rename,
    SYS_mkdir,
    SYS_chmod,
    SYS_chown,
    SYS_link,
    SYS_symlink,
    SYS_creat,
#endif
};

class FilterProgram {
public:
    FilterProgram() {
        Load(offsetof(seccomp_data, arch));
        Add(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0);
        Add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
        Load(offsetof(seccomp_data, nr));
    }
    void On(long call, unsigned action) {
        Add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1);
        Add(BPF_RET | BPF_K, action);
    }
    /// By the bits of an argument: `set` when one of them is set, otherwise `clear`.
    void OnBits(long call, unsigned argument, unsigned bits, unsigned set, unsigned clear) {
        Add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 4);
        Load(offsetof(seccomp_data, args) + argument * sizeof(uint64_t));
        Add(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
        Add(BPF_RET | BPF_K, set);
        Add(BPF_RET | BPF_K, clear);
    }
    bool Install(unsigned otherwise) {
        Add(BPF_RET | BPF_K, otherwise);
        sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
    }

private:
    void Load(size_t offset) { Add(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset)); }
    void Add(unsigned code, unsigned k, unsigned char yes = 0, unsigned char no = 0) {
        code_.push_back({static_cast<unsigned short>(code), yes, no, k});
    }
    std::vector<sock_filter> code_;
};

void Limit(__rlimit_resource resource, rlim_t value) {
    const rlimit both{value, value};
    setrlimit(resource, &both);
}

}  // namespace

bool EnterScanSandbox() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Limit(RLIMIT_CORE, 0);
    Limit(RLIMIT_FSIZE, 0);
    Limit(RLIMIT_NOFILE, 64);
    Limit(RLIMIT_CPU, 10);
#if !defined(OPENSEND_SANITIZED)
    Limit(RLIMIT_AS, rlim_t{2} << 30);  // sanitizers reserve far more than they use
#endif
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    FilterProgram program;
    for (const long call : kHarmless) {
#if defined(__x86_64__)
        if (call == SYS_open) continue;
#endif
        program.On(call, SECCOMP_RET_ALLOW);
    }
    program.OnBits(SYS_openat, 2, kWriting, kRefused, SECCOMP_RET_ALLOW);
#if defined(__x86_64__)
    program.OnBits(SYS_open, 1, kWriting, kRefused, SECCOMP_RET_ALLOW);
#endif
    // Reading a limit is harmless, and so is changing one's own name; both are asked by libraries.
    program.On(SYS_prlimit64, SECCOMP_RET_ALLOW);
    program.On(SYS_prctl, SECCOMP_RET_ALLOW);
    // abort() and failed assertions end in this one.
    program.On(SYS_tgkill, SECCOMP_RET_ALLOW);
    // The arguments of clone3 cannot be looked at; the C library then takes clone.
    program.On(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
    program.OnBits(SYS_clone, 0, CLONE_THREAD, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
    for (const long call : kDeadly) program.On(call, SECCOMP_RET_KILL_PROCESS);
    return program.Install(kRefused);
}

}  // namespace opensend::plugin
