#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_set>
#include <vector>

#include <opensend/plugin.h>

#include "kernel/base/mutex.h"

namespace opensend::plugin {

/// How long calls took, in buckets. Thread-safe.
struct Latency {
    static constexpr std::array<int64_t, 10> kBoundsUs = {
        100, 1'000, 5'000, 25'000, 100'000, 250'000, 1'000'000, 5'000'000, 30'000'000, 120'000'000};
    std::array<std::atomic<uint64_t>, kBoundsUs.size() + 1> buckets{};
    std::atomic<uint64_t> count{0}, sum_us{0};

    void Add(std::chrono::nanoseconds time);
};

/// What the calls of an instance did; a new instance of the same name goes on counting.
struct PluginCounters {
    std::atomic<uint64_t> calls{0}, errors{0}, late{0};
    std::atomic<uint64_t> twice{0};    // completed again
    std::atomic<uint64_t> unknown{0};  // completed a token that never was
    std::atomic<uint64_t> slow{0};     // more than 1 ms on the strand
    std::atomic<uint64_t> lost{0};     // calls not back by their deadline
    std::atomic<uint64_t> violations{0};
    Latency latency;
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
    /// The plugin's answer. OSP_E_STATE, counted as late or as an error (twice, unknown), when it
    /// is not open.
    osp_status Complete(osp_token token, const osp_completion& completion);
    /// Answers that came twice or for tokens that never were.
    uint64_t stale_count() const { return stale_.load(); }
    /// The host answers itself. False: the plugin has answered, or is doing so right now.
    bool Revoke(osp_token token);
    /// The plugin has answered by another way: one more completion would be the second.
    void Settle(osp_token token);
    /// Takes every open token back and tells the waiters.
    void RevokeAll();
    bool IsOpen(osp_token token) const;
    size_t open_count() const;

private:
    struct Slot {
        uint32_t generation = 1;
        std::shared_ptr<Waiter> waiter;
    };
    const Slot* Find(osp_token token) const OPENSEND_REQUIRES(mutex_);
    std::shared_ptr<Waiter> Close(osp_token token, bool revoked) OPENSEND_REQUIRES(mutex_);
    void CountRefused(osp_token token) OPENSEND_REQUIRES(mutex_);

    PluginCounters& counters_;
    std::atomic<uint64_t> stale_{0};
    mutable base::Mutex mutex_;
    std::vector<Slot> slots_ OPENSEND_GUARDED_BY(mutex_);
    std::vector<uint32_t> free_ OPENSEND_GUARDED_BY(mutex_);
    size_t open_ OPENSEND_GUARDED_BY(mutex_) = 0;
    // Tokens that the host answered itself: whoever completes one later was only late, once.
    std::unordered_set<osp_token> overdue_ OPENSEND_GUARDED_BY(mutex_);
    std::deque<osp_token> overdue_order_ OPENSEND_GUARDED_BY(mutex_);
};

}  // namespace opensend::plugin
