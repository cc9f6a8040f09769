#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/mutex.h"
#include "kernel/plugin/load/gate.h"
#include "kernel/plugin/worker/health.h"
#include "kernel/plugin/worker/host_calls.h"
#include "kernel/plugin/worker/process.h"
#include "kernel/runtime/worker.h"

namespace opensend::plugin::worker {

/// Fills the caller's struct, which may be null.
void SetError(osp_error* error, osp_status code, std::string_view text);

/// What every process of one plugin is started from.
struct Recipe {
    std::shared_ptr<PluginFile> file;
    std::string program;
    Limits limits;
    Patience patience;
    const base::Clock* clock = nullptr;
};

/// The instance a process is started for.
struct Client {
    std::string iface;
    const osp_host* host = nullptr;
    std::shared_ptr<Health> health = std::make_shared<Health>();
    bool threads = false;                      // it may start some
    std::shared_ptr<std::atomic<bool>> leave;  // set: nobody waits for it any more; may be null
};

/// Waits for the tokens of one blocking call.
struct BatchWait {
    base::Mutex mutex;
    base::CondVar changed;
    size_t open OPENSEND_GUARDED_BY(mutex) = 0;
};

/// What a token that was handed to a worker waits for.
struct Errand {
    osp_token token = 0;
    osp_time deadline = 0;
    std::shared_ptr<BatchWait> batch;
    osp_rl_res* results = nullptr;  // the caller's array
    uint32_t n = 0, stride = 0;
    bool counted = true;    // in the health of the plugin
    uint64_t position = 0;  // of its record in the ring
};

/// The life of one worker process, seen from the server: frames out, answers in, and at the end an
/// answer for everything that is still open. Thread-safe.
class Session : public std::enable_shared_from_this<Session> {
public:
    /// Starts a process and waits until it has loaded the file. `hello` gets its first frame.
    static Checked<std::shared_ptr<Session>> Start(
        std::shared_ptr<const Recipe> recipe, Client client, Received& hello
    );
    ~Session();

    /// Sends a frame and waits for its kReturn, a control call of the plugin.
    osp_status Call(
        Frame frame,
        std::chrono::milliseconds time,
        std::shared_ptr<Received>& answer,
        osp_error* error
    );
    /// Hands a frame over with the tokens in it. OSP_OK, or OSP_E_BUSY or _TOOBIG: nothing was
    /// taken.
    osp_status Post(const Frame& frame, std::vector<Errand> errands);
    /// How many tokens are out.
    size_t open_errands() const;
    /// True when the worker has answered anything since it started.
    bool proven() const { return proven_; }
    bool dead() const { return dead_; }
    pid_t pid() const { return process_->pid(); }
    /// The services the host gives to this instance, as bits of kCreate.
    uint64_t services() const { return host_calls_.granted(); }

    /// One turn of the watch: waits up to `time` for the end, kills a process that hangs. The
    /// reason when it is over; then Settle follows.
    std::optional<std::string> Watch(std::chrono::milliseconds time);
    /// Ends the process and answers what is open: what it had read is INDETERMINATE, the rest was
    /// not tried. Idempotent.
    void Settle(const std::string& reason);

private:
    Session(std::shared_ptr<const Recipe> recipe, Client client);
    Checked<bool> Open(Received& hello);
    Checked<bool> AwaitHello(Received& hello);
    void LogFrame(const Frame& frame);
    void ReadAnswers(runtime::StopToken& stop);
    /// False: the worker broke the protocol.
    bool ReadOne(std::string& bytes, bool& any);
    bool Dispatch(std::shared_ptr<Received> received);
    void Complete(const Received& received);
    void Serve(const std::shared_ptr<Received>& call);
    void Give(osp_token token, const osp_completion& completion);
    void AnswerForTheDead(const Errand& errand, bool taken, const std::string& reason);
    std::optional<std::string> FindFault();
    bool left() const { return client_.leave && *client_.leave; }
    static void Release(const Errand& errand);

    const std::shared_ptr<const Recipe> owner_;
    const Recipe& recipe_;
    const Client client_;
    const std::string& iface_;
    const osp_host* const host_;
    std::unique_ptr<Channel> channel_;
    std::unique_ptr<Process> process_;
    HostCalls host_calls_;
    std::atomic<bool> dead_{false}, proven_{false}, broken_{false};
    std::atomic<uint32_t> overdue_{0};
    uint64_t last_beat_ = 0;
    base::MonoTime beat_seen_;
    base::Mutex settle_mutex_;
    bool settled_ OPENSEND_GUARDED_BY(settle_mutex_) = false;

    mutable base::Mutex mutex_;
    base::CondVar answered_;
    std::unique_ptr<Sender> calls_ OPENSEND_GUARDED_BY(mutex_);
    std::map<osp_token, Errand> errands_ OPENSEND_GUARDED_BY(mutex_);
    std::map<uint64_t, std::shared_ptr<Received>> pending_ OPENSEND_GUARDED_BY(mutex_);
    uint64_t last_id_ OPENSEND_GUARDED_BY(mutex_) = 0;
    base::Mutex reply_mutex_;
    std::unique_ptr<Sender> replies_ OPENSEND_GUARDED_BY(reply_mutex_);
    std::unique_ptr<Receiver> answers_;  // of the reader, or of Settle when that has ended
    std::unique_ptr<runtime::WorkerPool> servants_;
    std::unique_ptr<runtime::Worker> reader_;
};

}  // namespace opensend::plugin::worker
