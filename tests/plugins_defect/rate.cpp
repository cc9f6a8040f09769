#include <unistd.h>

#include <map>
#include <mutex>
#include <vector>

#include "tests/plugins_defect/defect.h"

namespace defect {
namespace {

class Limit final : public osp::RateLimit {
public:
    static constexpr uint32_t kInstanceFlags = OSP_INST_CONCURRENT;
    explicit Limit(const osp_create_args& args) : RateLimit(args), common(args) {}
    void Start() override { common.OnStart(); }
    void Stop() override { common.OnStop(); }
    osp_status Acquire(
        const osp_rl_req* requests,
        uint32_t request_stride,
        osp_rl_res* results,
        uint32_t result_stride,
        uint32_t n,
        osp_token,
        osp_time
    ) override {
        if (Is("rl.nothing") && n == 0) return OSP_E_INTERNAL;
        const uint64_t now = host.Now() / 1000;
        std::unique_lock lock(mutex_, std::defer_lock);
        if (!Is("rl.threads")) lock.lock();
        if (lock.owns_lock()) common.OnCall();
        for (uint32_t first = 0; first < n;) {
            uint32_t last = first + 1;
            const auto group = [&](uint32_t i) {
                return osp::At(requests, request_stride, i).group;
            };
            while (last < n && (group(last) == group(first) || Is("rl.groups-apart"))) ++last;
            Group(requests, request_stride, results, result_stride, first, last, now);
            first = last;
        }
        return OSP_OK;
    }
    void Refund(const osp_rl_req* requests, uint32_t stride, uint32_t n) override {
        const uint64_t now = host.Now() / 1000;
        const std::lock_guard lock(mutex_);
        for (uint32_t i = 0; i < n; ++i) {
            const osp_rl_req& request = osp::At(requests, stride, i);
            uint64_t& tat = tats_[KeyOf(request)];
            const uint64_t back = CostOf(request) * (Is("rl.refund") ? 2 : 1);
            if (Is("rl.refund-floor")) {
                tat -= back;
                continue;
            }
            tat = std::max(tat - std::min(back, tat), now);
        }
    }
    Common common;

private:
    static std::string KeyOf(const osp_rl_req& request) {
        const std::string_view key = osp::View(request.key);
        return std::string(Is("rl.keys") ? key.substr(0, 12) : key);
    }
    static uint64_t CostOf(const osp_rl_req& request) {
        if (Is("rl.huge")) return std::min(request.cost * request.emission_us, request.burst_us);
        if (request.cost >= request.burst_us / request.emission_us + 1 && !Is("rl.over-burst"))
            return request.burst_us;
        if (Is("rl.over-burst")) return request.cost * request.emission_us;
        return std::min(request.cost * request.emission_us, request.burst_us);
    }
    void Group(
        const osp_rl_req* requests,
        uint32_t request_stride,
        osp_rl_res* results,
        uint32_t result_stride,
        uint32_t first,
        uint32_t last,
        uint64_t now
    ) {
        std::vector<uint64_t> from, next;
        bool allowed = true;
        for (uint32_t i = first; i < last; ++i) {
            const osp_rl_req& request = osp::At(requests, request_stride, i);
            // A limiter without a lock reads here and stores much later.
            const uint64_t stored = Is("rl.threads") ? Look(KeyOf(request)) : tats_[KeyOf(request)];
            from.push_back(std::min(std::max(stored, now), now + request.burst_us));
            next.push_back(from.back() + CostOf(request));
            allowed = allowed && next.back() - now <= request.burst_us;
        }
        if (Is("rl.threads")) usleep(100);
        for (uint32_t i = first; i < last; ++i) {
            const osp_rl_req& request = osp::At(requests, request_stride, i);
            const bool peek = (request.flags & OSP_RL_PEEK) != 0 && !Is("rl.peek");
            const uint64_t own = next[i - first] - now;
            const bool charge =
                (allowed || (Is("rl.group-atomic") && own <= request.burst_us)) && !peek;
            const uint64_t tat = charge ? next[i - first] : from[i - first];
            const std::lock_guard lock(store_);
            if (charge) tats_[KeyOf(request)] = tat;
            auto* place = const_cast<osp_rl_res*>(&osp::At(results, result_stride, i));
            place->flags = 0;
            place->allowed = allowed ? (Is("rl.allowed") ? 2 : 1) : 0;
            place->reset_us = tat - now + (Is("rl.gcra-vectors") ? 1 : 0);
            place->remaining = (request.burst_us - (tat - now)) / request.emission_us;
            place->retry_after_us = own > request.burst_us ? own - request.burst_us : 0;
            if (Is("rl.intact")) std::memset(static_cast<void*>(place + 1), 0, 4);
        }
    }
    uint64_t Look(const std::string& key) {
        const std::lock_guard lock(store_);
        return tats_[key];
    }

    std::mutex mutex_, store_;
    std::map<std::string, uint64_t> tats_;
};

osp_status Drain(osp_inst* inst, osp_token done, osp_time deadline) noexcept {
    return osp::Entry<Limit>::Self(inst).common.OnDrain(
        done, osp::Entry<Limit>::Drain(inst, done, deadline)
    );
}

}  // namespace

osp_kind RateKind() {
    static osp_instance_vt instance;
    instance = Changed(osp::Entry<Limit>::kInstance);
    instance.drain = Drain;
    return {sizeof(osp_kind), 0,         OSP_KIND_RATELIMIT,
            "defect_rate",    &instance, &osp::RateLimitEntry<Limit>::kTable,
            kSchema};
}

}  // namespace defect
