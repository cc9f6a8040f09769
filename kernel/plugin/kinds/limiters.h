#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel/base/guarded.h"
#include "kernel/model/rate_limiter.h"
#include "kernel/plugin/kinds/adapter.h"
#include "kernel/plugin/switch.h"

namespace opensend::plugin {

/// One rate-limit instance. Inline answers cost no allocation. Thread-safe.
class PluginLimiter final : public model::RateLimiter, public Adapter {
public:
    static Checked<std::unique_ptr<PluginLimiter>> Make(
        std::unique_ptr<Instance> instance, std::chrono::milliseconds call_timeout
    );

    /// With a store failure: store_failed, not allowed; the caller's policy decides.
    model::RateVerdict Acquire(std::span<const model::RateBucket> buckets, bool peek) override;
    void Refund(std::span<const model::RateBucket> buckets) override;
    const std::string& name() const override { return instance_->kind().name; }
    Instance& instance() override { return *instance_; }
    bool Shutdown(base::MonoTime deadline) override {
        return ShutDownInstance(*instance_, deadline);
    }

private:
    /// What a call lends the plugin until its token is completed.
    struct Loan;
    PluginLimiter(
        std::unique_ptr<Instance> instance,
        osp_ratelimit_v1 table,
        std::chrono::milliseconds timeout
    );
    bool WaitForAnswer(const std::shared_ptr<Loan>& loan, osp_token token);

    const osp_ratelimit_v1 table_;
    const std::chrono::milliseconds call_timeout_;
    // Loans whose deadline passed: the plugin may still write there. Declared before the instance,
    // so that they go after it.
    base::Guarded<std::vector<std::shared_ptr<Loan>>> overdue_;
    const std::unique_ptr<Instance> instance_;
    std::atomic<uint32_t> samples_{0};
};

/// The place of a rate-limit backend, whatever instance serves it.
class LimiterSeat final : public model::RateLimiter {
public:
    explicit LimiterSeat(std::string kind) : kind_(std::move(kind)) {}
    /// Without an instance: store_failed, not allowed.
    model::RateVerdict Acquire(std::span<const model::RateBucket> buckets, bool peek) override;
    void Refund(std::span<const model::RateBucket> buckets) override;
    const std::string& name() const override { return kind_; }
    Switch<PluginLimiter>& current() { return current_; }

private:
    const std::string kind_;
    Switch<PluginLimiter> current_;
};

}  // namespace opensend::plugin
