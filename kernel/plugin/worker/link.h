#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>

#include "kernel/plugin/load/loader.h"
#include "kernel/plugin/worker/session.h"

namespace opensend::plugin::worker {

/// One instance of a plugin that lives in another process: makes the process, watches it, and makes
/// it again when it has died. Thread-safe but for Stop.
class Link {
public:
    Link(
        std::shared_ptr<const Recipe> recipe,
        uint32_t kind,
        std::string iface,
        const osp_create_args& args,
        const ApartArgs& apart
    );
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    osp_status Create(osp_error* error);
    osp_status Start(osp_error* error);
    osp_status Reconfigure(osp_str json, osp_error* error);
    osp_status Drain(osp_token done, osp_time deadline);
    void Stop();

    /// The process that takes a new call; null while there is none, or the one that is on probation
    /// has a call already.
    std::shared_ptr<Session> Ready();
    /// Waits for one that is about to be there, not for the end of a rest.
    std::shared_ptr<Session> AwaitReady(base::MonoTime deadline);
    /// The process there is, if any.
    std::shared_ptr<Session> current() const;
    /// Milliseconds until another try makes sense.
    uint32_t retry_after_ms() const;
    std::string last_reason() const { return apart_.health->view().last_reason; }
    const osp_host* host() const { return host_; }
    const base::Clock& clock() const { return *recipe_->clock; }

private:
    std::shared_ptr<Session> FindReady() OPENSEND_REQUIRES(mutex_);
    void Run(runtime::StopToken& stop);
    void BringUp();
    osp_status Raise(std::shared_ptr<Session>& session, osp_error& error);
    void Died(const std::string& reason, int pid);
    /// How long nothing is started after a death at `now`; zero: no rest.
    std::chrono::nanoseconds RestAfter(base::MonoTime now) OPENSEND_REQUIRES(mutex_);
    /// Lets the plugin end in order, then ends the process.
    void EndSession();

    const std::shared_ptr<const Recipe> recipe_;
    const uint32_t kind_;
    const std::string iface_, name_, tenant_;
    const osp_host* const host_;
    const ApartArgs apart_;
    const std::shared_ptr<std::atomic<bool>> leave_ = std::make_shared<std::atomic<bool>>(false);
    const std::chrono::nanoseconds ctl_timeout_;

    mutable base::Mutex mutex_;
    base::CondVar created_;  // or not, or it died
    std::string config_ OPENSEND_GUARDED_BY(mutex_);
    std::shared_ptr<Session> session_ OPENSEND_GUARDED_BY(mutex_);
    bool wanted_ OPENSEND_GUARDED_BY(mutex_) = false;
    bool started_ OPENSEND_GUARDED_BY(mutex_) = false;
    bool probing_ OPENSEND_GUARDED_BY(mutex_) = false;
    osp_status first_ OPENSEND_GUARDED_BY(mutex_) = OSP_PENDING;
    osp_error first_error_ OPENSEND_GUARDED_BY(mutex_){};
    std::deque<base::MonoTime> deaths_ OPENSEND_GUARDED_BY(mutex_);
    uint32_t rests_ OPENSEND_GUARDED_BY(mutex_) = 0;
    base::MonoTime up_since_ OPENSEND_GUARDED_BY(mutex_);
    base::MonoTime retry_at_ OPENSEND_GUARDED_BY(mutex_);
    std::unique_ptr<runtime::Worker> watch_;
};

}  // namespace opensend::plugin::worker
