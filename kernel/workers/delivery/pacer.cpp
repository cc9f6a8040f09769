#include "kernel/workers/delivery/pacer.h"

namespace opensend::delivery {
namespace {

constexpr std::chrono::milliseconds kFullWait{250};

}  // namespace

void Pacer::SetPaces(std::map<std::string, Pace> paces) {
    lanes_.With([&](auto& lanes) {
        std::map<std::string, Lane> next;
        for (auto& [name, pace] : paces) {
            if (pace.count == 0 && pace.concurrency == 0) continue;
            const uint64_t count = pace.count == 0 ? 1 : pace.count;
            const auto period = pace.count == 0 ? std::chrono::microseconds(1) : pace.period;
            Lane lane{pace, runtime::TokenBucket(count, period), 0};
            // What is out stays out.
            if (const auto old = lanes.find(name); old != lanes.end()) lane.out = old->second.out;
            next.emplace(name, lane);
        }
        lanes.swap(next);
    });
}

std::chrono::nanoseconds Pacer::Admit(const std::string& transport, base::MonoTime now) {
    return lanes_.With([&](auto& lanes) -> std::chrono::nanoseconds {
        const auto found = lanes.find(transport);
        if (found == lanes.end()) return std::chrono::nanoseconds(0);
        Lane& lane = found->second;
        if (lane.pace.concurrency > 0 && lane.out >= lane.pace.concurrency) return kFullWait;
        if (lane.pace.count > 0) {
            const auto wait = lane.bucket.Take(now);
            if (wait.count() > 0) return wait;
        }
        ++lane.out;
        return std::chrono::nanoseconds(0);
    });
}

void Pacer::Done(const std::string& transport) {
    lanes_.With([&](auto& lanes) {
        const auto found = lanes.find(transport);
        if (found != lanes.end() && found->second.out > 0) --found->second.out;
    });
}

}  // namespace opensend::delivery
