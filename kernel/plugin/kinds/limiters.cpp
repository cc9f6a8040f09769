#include "kernel/plugin/kinds/limiters.h"

#include <algorithm>
#include <utility>

#include "kernel/plugin/load/import.h"

namespace opensend::plugin {
namespace {

constexpr size_t kMaxOverdue = 1024;
constexpr uint32_t kSampleEvery = 1024;  // calls of which one is timed

void FillRequests(
    std::span<const model::RateBucket> buckets, bool peek, std::vector<osp_rl_req>& out
) {
    out.clear();
    for (const model::RateBucket& bucket : buckets) {
        osp_rl_req request{};
        request.size = sizeof request;
        if (peek) request.flags = OSP_RL_PEEK;
        request.cost = bucket.cost;
        request.processes = bucket.processes;
        request.key = {bucket.key.data(), bucket.key.size()};
        request.emission_us = bucket.emission_us;
        request.burst_us = bucket.burst_us;
        out.push_back(request);
    }
}

}  // namespace

struct PluginLimiter::Loan final : public Waiter {
    bool Accept(osp_token, const osp_completion& completion) override {
        base::MutexLock lock(mutex);
        done = true;
        status = completion.status;
        changed.NotifyAll();
        return true;
    }

    /// Whether the plugin has answered; `turned_away`: with "busy".
    bool IsDone(bool& turned_away) {
        base::MutexLock lock(mutex);
        turned_away = done && status == OSP_E_BUSY;
        return done;
    }

    std::vector<std::string> keys;  // copies: the caller's may be gone when the plugin is late
    std::vector<osp_rl_req> requests;
    std::vector<osp_rl_res> results;
    base::Mutex mutex;
    base::CondVar changed;
    bool done OPENSEND_GUARDED_BY(mutex) = false;
    osp_status status OPENSEND_GUARDED_BY(mutex) = OSP_OK;
};

PluginLimiter::PluginLimiter(
    std::unique_ptr<Instance> instance, osp_ratelimit_v1 table, std::chrono::milliseconds timeout
)
    : table_(table), call_timeout_(timeout), instance_(std::move(instance)) {}

Checked<std::unique_ptr<PluginLimiter>> PluginLimiter::Make(
    std::unique_ptr<Instance> instance, std::chrono::milliseconds call_timeout
) {
    osp_ratelimit_v1 table{};
    if (!Import(instance->kind().table, OPENSEND_SIZE_THROUGH(osp_ratelimit_v1, acquire), table) ||
        table.acquire == nullptr)
        return Refuse("table", "acquire", "an empty slot");
    FillNothing(table.refund);
    return std::unique_ptr<PluginLimiter>(
        new PluginLimiter(std::move(instance), table, call_timeout)
    );
}

bool PluginLimiter::WaitForAnswer(const std::shared_ptr<Loan>& loan, osp_token token) {
    const base::Clock& clock = instance_->clock();
    const base::MonoTime deadline = clock.Mono() + call_timeout_;
    base::MutexLock lock(loan->mutex);
    while (!loan->done) {
        const auto left = deadline - clock.Mono();
        if (left.count() <= 0 && instance_->tokens().Revoke(token)) return false;
        const std::chrono::nanoseconds longest = std::chrono::milliseconds(50);
        const std::chrono::nanoseconds shortest = std::chrono::milliseconds(1);
        loan->changed.WaitFor(lock, std::clamp(left, shortest, longest));
    }
    return loan->status == OSP_OK;
}

model::RateVerdict PluginLimiter::Acquire(std::span<const model::RateBucket> buckets, bool peek) {
    model::RateVerdict verdict;
    verdict.buckets.resize(buckets.size());
    if (buckets.empty()) return verdict;
    verdict.allowed = false;
    verdict.store_failed = true;
    model::SharedBreaker& breaker = instance_->vitals().breaker();
    const base::MonoTime now = instance_->clock().Mono();
    // A look is how an open breaker learns that the store is back; it is not held against it.
    if (!instance_->running() || (!peek && !breaker.Admit(now))) return verdict;
    const bool too_many = overdue_.With([](auto& list) { return list.size() >= kMaxOverdue; });
    thread_local std::shared_ptr<Loan> reusable;
    if (!reusable) reusable = std::make_shared<Loan>();
    const std::shared_ptr<Loan> loan = reusable;
    {
        base::MutexLock lock(loan->mutex);
        loan->done = false;
    }
    const osp_token token = too_many ? 0 : instance_->tokens().Open(loan);
    if (token == 0) return verdict;
    FillRequests(buckets, peek, loan->requests);
    loan->keys.resize(buckets.size());
    for (size_t i = 0; i < buckets.size(); ++i) {
        loan->keys[i] = buckets[i].key;
        loan->requests[i].key = {loan->keys[i].data(), loan->keys[i].size()};
    }
    loan->results.assign(buckets.size(), osp_rl_res{sizeof(osp_rl_res), 0, 0, 0, 0, 0, 0});

    ++instance_->counters().calls;
    const bool is_timed = samples_++ % kSampleEvery == 0;
    const auto began = is_timed ? instance_->clock().Mono() : base::MonoTime{0};
    const auto deadline = static_cast<osp_time>((now + call_timeout_).ns);
    ++instance_->calls_inside();
    const osp_status status = table_.acquire(
        instance_->raw(), loan->requests.data(), sizeof(osp_rl_req), loan->results.data(),
        sizeof(osp_rl_res), static_cast<uint32_t>(buckets.size()), token, deadline
    );
    --instance_->calls_inside();
    if (is_timed) instance_->vitals().Took("acquire", instance_->clock().Mono() - began, false);
    bool answered = status == OSP_OK, is_away = status == OSP_E_BUSY;
    if (status == OSP_PENDING) {
        answered = WaitForAnswer(loan, token);
        const bool is_closed = loan->IsDone(is_away);
        if (!is_closed) {
            reusable = nullptr;
            overdue_.With([&](auto& list) { list.push_back(loan); });
        }
    } else {
        instance_->tokens().Settle(token);
    }
    // The death of a process is no failure of the store: another one takes its place.
    is_away = is_away && !answered && instance_->is_apart();
    if (answered || !peek) {
        breaker.Report(
            answered  ? model::ResultClass::kOk
            : is_away ? model::ResultClass::kNotTried
                      : model::ResultClass::kTemp,
            now
        );
    }
    if (!answered) {
        ++instance_->counters().errors;
        return verdict;
    }
    verdict.store_failed = false;
    verdict.allowed = true;
    for (size_t i = 0; i < buckets.size(); ++i) {
        const osp_rl_res& result = loan->results[i];
        verdict.allowed = verdict.allowed && result.allowed == 1;
        verdict.degraded = verdict.degraded || (result.flags & OSP_RL_DEGRADED) != 0;
        verdict.buckets[i] = {result.remaining, result.retry_after_us, result.reset_us};
    }
    return verdict;
}

void PluginLimiter::Refund(std::span<const model::RateBucket> buckets) {
    if (buckets.empty() || !instance_->running()) return;
    std::vector<osp_rl_req> requests;
    FillRequests(buckets, false, requests);
    table_.refund(
        instance_->raw(), requests.data(), sizeof(osp_rl_req), static_cast<uint32_t>(buckets.size())
    );
}

model::RateVerdict LimiterSeat::Acquire(std::span<const model::RateBucket> buckets, bool peek) {
    if (const auto use = current_.Take()) return use->Acquire(buckets, peek);
    model::RateVerdict verdict;
    verdict.buckets.resize(buckets.size());
    verdict.allowed = buckets.empty();
    verdict.store_failed = !buckets.empty();
    return verdict;
}

void LimiterSeat::Refund(std::span<const model::RateBucket> buckets) {
    if (const auto use = current_.Take()) use->Refund(buckets);
}

}  // namespace opensend::plugin
