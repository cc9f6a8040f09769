#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "kernel/base/mutex.h"
#include "kernel/plugin/load/problem.h"
#include "kernel/plugin/worker/channel.h"

namespace opensend::plugin::worker {

/// How many blocking calls a worker runs at a time.
constexpr uint32_t kSendThreads = 8;

/// What the operator lets the plugin have.
struct Limits {
    uint64_t memory = uint64_t{512} << 20;  // of address space
    bool threads = false;                   // it may start threads of its own
};

/// `opensend-plugin-worker`: the given path, or beside this program, or in ../libexec/opensend.
std::string FindProgram(const std::string& given);

/// One process of a plugin; killed and collected at the end. Thread-safe.
class Process {
public:
    /// The child gets the socket, the plugin's file and nothing else of ours.
    static Checked<std::unique_ptr<Process>> Start(
        const std::string& program, int socket, int plugin_file, const Limits& limits
    );
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    pid_t pid() const { return pid_; }
    void Kill();
    /// How it ended, "killed by SIGSEGV"; nullopt: it lives still when `time` is over.
    std::optional<std::string> WaitForEnd(std::chrono::milliseconds time, const SharedPage& page);

private:
    Process(pid_t pid, Descriptor handle) : pid_(pid), handle_(std::move(handle)) {}
    const pid_t pid_;
    Descriptor handle_;
    base::Mutex mutex_;
    std::optional<std::string> end_ OPENSEND_GUARDED_BY(mutex_);
};

}  // namespace opensend::plugin::worker
