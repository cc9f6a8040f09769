#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <opensend/plugin.h>

#include "kernel/base/mutex.h"
#include "kernel/plugin/worker/channel.h"
#include "kernel/plugin/worker/host_calls.h"

namespace opensend::plugin::worker {

/// The osp_host of the plugin in the worker. Time and timers are served here, everything else goes
/// to the server. Thread-safe; one in a process.
class ReverseHost {
public:
    ReverseHost(Channel& channel, std::function<void()> beat);

    const osp_host* table() const { return &table_; }
    void Grant(uint64_t services) { granted_ = services; }

    /// The call that a token came with is kept until the token is completed.
    void OpenToken(osp_token token, FrameKind kind, std::shared_ptr<void> call);
    /// The results of an acquire: sent when its token is completed.
    void SetResults(osp_token token, const osp_rl_res* results, uint32_t n);
    /// Completes a token in the plugin's place if it is still open.
    void CompleteIfOpen(osp_token token, const osp_completion& completion);
    osp_status Complete(osp_token token, const osp_completion* completion);
    /// The callback that a kCallback frame is for.
    void RunCallback(const Frame& frame);
    /// Runs what is due; how long until the next timer.
    std::chrono::nanoseconds RunTimers();
    void Send(const Frame& frame);

private:
    friend struct ReverseTables;
    struct Open {
        FrameKind kind = FrameKind::kBatch;
        std::shared_ptr<void> call;
        const osp_rl_res* results = nullptr;
        uint32_t n = 0;
    };
    struct Waiting {
        HostOp op = HostOp::kHttpStart;
        void* context = nullptr;
        void (*http)(void*, osp_status, const osp_http_res*) noexcept = nullptr;
        void (*emit)(void*, osp_status, const osp_emit_res*) noexcept = nullptr;
        void (*ingest)(void*, osp_status, const osp_ingest_res*) noexcept = nullptr;
        void (*credential)(void*, osp_status, const osp_credential*) noexcept = nullptr;
    };
    struct Timer {
        osp_time at = 0;
        uint64_t period = 0;
        void (*fire)(void*, uint64_t) noexcept = nullptr;
        void* context = nullptr;
    };
    const void* Find(std::string_view id) const;
    /// Asks the server and waits. Null: it is gone.
    std::shared_ptr<Received> Ask(Frame frame, HostOp op);
    osp_status AskStatus(const Frame& frame, HostOp op, osp_error* error);
    uint64_t Expect(Waiting waiting);
    void Forget(uint64_t id);
    uint64_t Arm(
        osp_time at, uint64_t period, void (*fire)(void*, uint64_t) noexcept, void* context
    );
    osp_status Disarm(uint64_t id);

    Channel& channel_;
    const std::function<void()> beat_;
    osp_host table_{};
    std::atomic<uint64_t> granted_{0};
    base::Mutex send_mutex_;
    Sender answers_ OPENSEND_GUARDED_BY(send_mutex_);
    base::Mutex ask_mutex_;
    Receiver replies_ OPENSEND_GUARDED_BY(ask_mutex_);
    uint64_t last_ask_ OPENSEND_GUARDED_BY(ask_mutex_) = 0;
    base::Mutex mutex_;
    base::CondVar fired_;
    std::map<osp_token, Open> tokens_ OPENSEND_GUARDED_BY(mutex_);
    std::map<uint64_t, Waiting> waiting_ OPENSEND_GUARDED_BY(mutex_);
    std::map<uint64_t, Timer> timers_ OPENSEND_GUARDED_BY(mutex_);
    uint64_t last_id_ OPENSEND_GUARDED_BY(mutex_) = 0;
    uint64_t firing_ OPENSEND_GUARDED_BY(mutex_) = 0;
    const uint64_t strand_;  // the thread timers fire on
};

/// Now on the clock that all processes of a machine share.
osp_time MonotonicNow();

}  // namespace opensend::plugin::worker
