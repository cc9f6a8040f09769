#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include <opensend/plugin.h>

#include "kernel/base/mutex.h"

namespace opensend::plugin {

/// What a plugin's calls did; shared by the instances of one plugin.
struct PluginCounters {
    std::atomic<uint64_t> calls{0}, errors{0}, late{0};
};

/// Who waits for a token.
class Waiter {
public:
    virtual ~Waiter() = default;
    /// The completion of `token`; called at most once, on the completing thread. Copies what it
    /// needs. False: the result was unreadable and counted as OSP_E_INTERNAL.
    virtual bool Accept(osp_token token, const osp_completion& completion) = 0;
    /// The token was taken back because the instance goes; nobody will complete it.
    virtual void Abandon() {}
};

/// The open tokens of one instance: slot and generation, so that an old number never fits again.
/// Thread-safe.
class TokenTable {
public:
    explicit TokenTable(PluginCounters& counters) : counters_(counters) {}

    /// 0 when 65,536 tokens are open.
    osp_token Open(std::shared_ptr<Waiter> waiter);
    /// The plugin's answer. OSP_E_STATE, counted as late or as an error, when it is not open.
    osp_status Complete(osp_token token, const osp_completion& completion);
    /// The host answers itself. False: the plugin has answered, or is doing so right now.
    bool Revoke(osp_token token);
    /// Takes every open token back and tells the waiters.
    void RevokeAll();
    bool IsOpen(osp_token token) const;
    size_t open_count() const;

private:
    struct Slot {
        uint32_t generation = 1;
        bool revoked_before = false;  // how the previous generation ended
        std::shared_ptr<Waiter> waiter;
    };
    const Slot* Find(osp_token token) const OPENSEND_REQUIRES(mutex_);
    std::shared_ptr<Waiter> Close(osp_token token, bool revoked) OPENSEND_REQUIRES(mutex_);

    PluginCounters& counters_;
    mutable base::Mutex mutex_;
    std::vector<Slot> slots_ OPENSEND_GUARDED_BY(mutex_);
    std::vector<uint32_t> free_ OPENSEND_GUARDED_BY(mutex_);
    size_t open_ OPENSEND_GUARDED_BY(mutex_) = 0;
};

}  // namespace opensend::plugin
