#include "kernel/workers/delivery/route_planner.h"

#include <algorithm>

namespace opensend::delivery {
namespace {

constexpr size_t kFailuresToOpen = 5;
constexpr std::chrono::seconds kFailureWindow{60};
constexpr std::chrono::seconds kFirstPause{30};
constexpr std::chrono::seconds kLongestPause{600};
constexpr std::chrono::seconds kProbeLimit{120};

bool Binds(const std::vector<std::string>& list, std::string_view value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

bool Breaker::Admit(base::MonoTime now) {
    if (!open_) return true;
    if (now < open_until_) return false;
    // A probe whose answer never came does not block the transport for good.
    if (probing_ && now - probe_since_ < kProbeLimit) return false;
    probing_ = true;
    probe_since_ = now;
    return true;
}

void Breaker::Report(model::ResultClass result, base::MonoTime now) {
    using model::ResultClass;
    const bool failure = result == ResultClass::kTemp || result == ResultClass::kOkUnknown ||
                         result == ResultClass::kPermReputation ||
                         result == ResultClass::kProtocol || result == ResultClass::kAuthConfig;
    if (!failure) {
        if (result == ResultClass::kNotTried || result == ResultClass::kThrottle) return;
        open_ = false;
        probing_ = false;
        pause_ = kFirstPause;
        failures_.clear();
        return;
    }
    if (open_) {
        if (!probing_) return;
        pause_ = std::min(pause_ * 2, kLongestPause);
    } else {
        failures_.push_back(now);
        failures_.erase(
            std::remove_if(
                failures_.begin(), failures_.end(),
                [&](base::MonoTime at) { return now - at > kFailureWindow; }
            ),
            failures_.end()
        );
        if (failures_.size() < kFailuresToOpen && result != ResultClass::kAuthConfig) return;
    }
    open_ = true;
    probing_ = false;
    open_until_ = now + pause_;
    failures_.clear();
}

Breaker::State Breaker::state(base::MonoTime now) const {
    if (!open_) return State::kClosed;
    return now < open_until_ ? State::kOpen : State::kHalfOpen;
}

const RouteGroup* RoutePlanner::GroupFor(
    std::string_view domain, std::string_view stream, std::string_view org
) const {
    const RouteGroup* best = nullptr;
    int best_score = -1;
    for (const RouteGroup& group : groups_) {
        int score = 0;
        if (!group.orgs.empty()) score += Binds(group.orgs, org) ? 4 : -100;
        if (!group.domains.empty()) score += Binds(group.domains, domain) ? 2 : -100;
        if (!group.streams.empty()) score += Binds(group.streams, stream) ? 1 : -100;
        const bool general = group.orgs.empty() && group.domains.empty() && group.streams.empty();
        if (general && group.name != "default") score = -100;
        if (score > best_score) {
            best = &group;
            best_score = score;
        }
    }
    return best;
}

RoutePlanner::Choice RoutePlanner::Choose(
    std::string_view domain,
    std::string_view stream,
    std::string_view org,
    uint64_t seed,
    base::MonoTime now,
    const std::function<bool(const std::string&)>& is_up
) {
    const RouteGroup* group = GroupFor(domain, stream, org);
    if (group == nullptr) return {"", "no_route"};
    std::vector<RouteGroup::Member> up;
    for (const auto& member : group->members) {
        if (member.weight > 0 && is_up(member.transport)) up.push_back(member);
    }
    if (up.empty()) return {"", "no_route"};
    std::stable_sort(up.begin(), up.end(), [](const auto& a, const auto& b) {
        return a.priority < b.priority;
    });
    return breakers_.With([&](auto& breakers) -> Choice {
        for (size_t from = 0; from < up.size();) {
            size_t to = from;
            uint64_t total = 0;
            while (to < up.size() && up[to].priority == up[from].priority) {
                total += static_cast<uint64_t>(up[to++].weight);
            }
            // Weighted start, then the others of the same priority in order.
            uint64_t mark = seed % total;
            size_t start = from;
            while (mark >= static_cast<uint64_t>(up[start].weight)) {
                mark -= static_cast<uint64_t>(up[start++].weight);
            }
            for (size_t i = 0; i < to - from; ++i) {
                const auto& member = up[from + (start - from + i) % (to - from)];
                if (breakers[member.transport].Admit(now)) return {member.transport, ""};
            }
            from = to;
        }
        return {"", "transport_circuit_open"};
    });
}

void RoutePlanner::Report(
    const std::string& transport, model::ResultClass result, base::MonoTime now
) {
    breakers_.With([&](auto& breakers) { breakers[transport].Report(result, now); });
}

}  // namespace opensend::delivery
