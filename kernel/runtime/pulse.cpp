#include "kernel/runtime/pulse.h"

#include <algorithm>
#include <map>

#include "kernel/base/guarded.h"

namespace opensend::runtime {
namespace {

using PulseMap = std::map<std::string, Pulse, std::less<>>;

base::Guarded<PulseMap>& AllPulses() {
    static base::Guarded<PulseMap> pulses;
    return pulses;
}

}  // namespace

void Beat(std::string_view job, std::chrono::milliseconds interval, base::Time now) {
    AllPulses().With([&](PulseMap& pulses) {
        const auto found = pulses.find(job);
        if (found != pulses.end()) {
            found->second.seen = now;
        } else {
            pulses.emplace(std::string(job), Pulse{std::string(job), now, interval});
        }
    });
}

std::vector<Pulse> Pulses() {
    return AllPulses().With([](const PulseMap& pulses) {
        std::vector<Pulse> out;
        for (const auto& [job, pulse] : pulses) out.push_back(pulse);
        return out;
    });
}

std::vector<Pulse> LastSeen(std::vector<Pulse> one, const std::vector<Pulse>& other) {
    for (const Pulse& pulse : other) {
        const auto place = std::lower_bound(
            one.begin(), one.end(), pulse.job,
            [](const Pulse& left, const std::string& job) { return left.job < job; }
        );
        if (place == one.end() || place->job != pulse.job) {
            one.insert(place, pulse);
        } else if (place->seen < pulse.seen) {
            *place = pulse;
        }
    }
    return one;
}

}  // namespace opensend::runtime
