#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <opensend/plugin.hpp>

namespace {

constexpr size_t kShards = 64;
// A shard looks for expired buckets whenever it has doubled since the last look.
constexpr size_t kFirstSweep = 1024;
constexpr uint32_t kMaxEntries = 1024;
constexpr size_t kMaxKey = 512;

/// Key as text, looked up without a copy.
struct KeyHash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
};

/// Theoretical arrival time in microseconds, and the burst it was counted with.
struct Bucket {
    uint64_t tat = 0, burst_us = 0;
};
struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, Bucket, KeyHash, std::equal_to<>> buckets;
    size_t sweep_at = kFirstSweep;
};

/// One bucket of a call while its shard is locked.
struct Step {
    const osp_rl_req* request;
    osp_rl_res* result;
    Shard* shard;
    uint64_t tat, next, wait;
};

uint64_t Saturating(uint64_t a, uint64_t b) {
    uint64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<uint64_t>::max() : product;
}

uint64_t CostOf(const osp_rl_req& request) {
    return std::min(Saturating(request.cost, request.emission_us), request.burst_us);
}

class MemoryLimit final : public osp::RateLimit {
public:
    static constexpr uint32_t kInstanceFlags = OSP_INST_CONCURRENT;

    explicit MemoryLimit(const osp_create_args& args) : RateLimit(args) {
        const std::string_view config = osp::View(args.config);
        if (config.find('"') != std::string_view::npos)
            throw osp::Error(OSP_E_CONFIG, "memory_limit has no configuration keys");
    }

    osp_status Acquire(
        const osp_rl_req* requests,
        uint32_t request_stride,
        osp_rl_res* results,
        uint32_t result_stride,
        uint32_t n,
        osp_token /*token*/,
        osp_time /*deadline*/
    ) override {
        if (n == 0) return OSP_OK;
        if (n > kMaxEntries) throw osp::Error(OSP_E_TOOBIG, "more than 1,024 buckets at once");
        std::array<Step, 8> few;
        std::vector<Step> many;
        if (n > few.size()) many.resize(n);
        Step* steps = n > few.size() ? many.data() : few.data();
        uint64_t shards = 0;
        for (uint32_t i = 0; i < n; ++i) {
            const osp_rl_req& request = osp::At(requests, request_stride, i);
            if (!IsSane(request)) return OSP_E_INVALID;
            const size_t index = ShardOf(osp::View(request.key));
            shards |= uint64_t{1} << index;
            osp_rl_res& result = const_cast<osp_rl_res&>(osp::At(results, result_stride, i));
            steps[i] = {&request, &result, &shards_[index], 0, 0, 0};
        }
        // Always in the same order, so that two calls cannot wait for each other.
        Lock(shards);
        const uint64_t now = host.Now() / 1000;
        for (uint32_t first = 0; first < n;) {
            uint32_t last = first + 1;
            while (last < n && steps[last].request->group == steps[first].request->group) ++last;
            RunGroup(steps + first, steps + last, now);
            first = last;
        }
        Unlock(shards);
        return OSP_OK;
    }

    void Refund(const osp_rl_req* requests, uint32_t stride, uint32_t n) override {
        const uint64_t now = host.Now() / 1000;
        for (uint32_t i = 0; i < n; ++i) {
            const osp_rl_req& request = osp::At(requests, stride, i);
            Shard& shard = shards_[ShardOf(osp::View(request.key))];
            const std::lock_guard lock(shard.mutex);
            const auto found = shard.buckets.find(osp::View(request.key));
            if (found == shard.buckets.end()) continue;
            uint64_t& tat = found->second.tat;
            tat = std::max(tat - std::min(CostOf(request), tat), now);
        }
    }

private:
    static bool IsSane(const osp_rl_req& request) {
        return request.size >= sizeof request && request.emission_us > 0 &&
               request.burst_us < (uint64_t{1} << 62) && request.key.len <= kMaxKey;
    }
    static size_t ShardOf(std::string_view key) { return KeyHash{}(key) % kShards; }

    void Lock(uint64_t shards) {
        for (size_t i = 0; i < kShards; ++i) {
            if ((shards >> i & 1) != 0) shards_[i].mutex.lock();
        }
    }
    void Unlock(uint64_t shards) {
        for (size_t i = 0; i < kShards; ++i) {
            if ((shards >> i & 1) != 0) shards_[i].mutex.unlock();
        }
    }

    /// Tests all buckets of a group, then stores all or none.
    static void RunGroup(Step* first, Step* last, uint64_t now) {
        bool allowed = true;
        for (Step* step = first; step != last; ++step) {
            Test(*step, first, now);
            allowed = allowed && step->wait == 0;
        }
        for (Step* step = first; step != last; ++step) {
            const osp_rl_req& request = *step->request;
            const bool peek = (request.flags & OSP_RL_PEEK) != 0;
            if (allowed && !peek) Store(*step, now);
            const uint64_t tat = allowed && !peek ? step->next : step->tat;
            osp_rl_res& result = *step->result;
            result.flags = 0;
            result.allowed = allowed ? 1 : 0;
            result.reset_us = tat - now;
            result.remaining = (request.burst_us - result.reset_us) / request.emission_us;
            result.retry_after_us = step->wait;
        }
    }
    /// A bucket that stands twice in a group continues from its earlier entry.
    static void Test(Step& step, const Step* first, uint64_t now) {
        const osp_rl_req& request = *step.request;
        uint64_t stored = now;
        bool earlier = false;
        for (const Step* other = &step; other != first && !earlier;) {
            --other;
            earlier = osp::View(other->request->key) == osp::View(request.key);
            if (earlier) stored = other->wait == 0 ? other->next : other->tat;
        }
        if (!earlier) {
            const auto found = step.shard->buckets.find(osp::View(request.key));
            if (found != step.shard->buckets.end()) {
                KeepToBurst(found->second, now, request.burst_us);
                stored = found->second.tat;
            }
        }
        step.tat = std::min(std::max(stored, now), now + request.burst_us);
        step.next = step.tat + CostOf(request);
        const uint64_t used = step.next - now;
        step.wait = used > request.burst_us ? used - request.burst_us : 0;
    }
    /// A bucket that got other numbers owes no more than they can hold. Without this one whose
    /// numbers were raised would go on denying until its old debt is over.
    static void KeepToBurst(Bucket& bucket, uint64_t now, uint64_t burst_us) {
        if (bucket.burst_us == burst_us) return;
        bucket = {std::min(bucket.tat, now + burst_us), burst_us};
    }
    static void Store(const Step& step, uint64_t now) {
        auto& buckets = step.shard->buckets;
        const std::string_view key = osp::View(step.request->key);
        const auto found = buckets.find(key);
        if (found != buckets.end()) {
            found->second.tat = step.next;
            return;
        }
        if (buckets.size() >= step.shard->sweep_at) Sweep(*step.shard, now);
        buckets.emplace(std::string(key), Bucket{step.next, step.request->burst_us});
    }
    /// Forgets buckets that are full again.
    static void Sweep(Shard& shard, uint64_t now) {
        for (auto it = shard.buckets.begin(); it != shard.buckets.end();)
            it = it->second.tat <= now ? shard.buckets.erase(it) : std::next(it);
        shard.sweep_at = std::max(kFirstSweep, shard.buckets.size() * 2);
    }

    std::array<Shard, kShards> shards_;
};

}  // namespace

OSP_RATELIMIT_PLUGIN(
    MemoryLimit,
    "opensend.memory_limit",
    "1.0.0",
    "memory",
    "{\"type\":\"object\",\"additionalProperties\":false}"
)
