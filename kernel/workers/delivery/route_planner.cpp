#include "kernel/workers/delivery/route_planner.h"

#include <algorithm>

namespace opensend::delivery {
namespace {

bool Binds(const std::vector<std::string>& list, std::string_view value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

RoutePlanner::RoutePlanner(
    std::vector<RouteGroup> groups, model::BreakerBoard* board, std::string prefix
)
    : groups_(std::make_shared<const std::vector<RouteGroup>>(std::move(groups))),
      board_(board != nullptr ? *board : own_board_),
      prefix_(std::move(prefix)) {}

void RoutePlanner::SetGroups(std::vector<RouteGroup> groups) {
    auto next = std::make_shared<const std::vector<RouteGroup>>(std::move(groups));
    groups_.With([&](auto& current) { current = std::move(next); });
}

const RouteGroup* RoutePlanner::GroupFor(
    const std::vector<RouteGroup>& groups,
    std::string_view domain,
    std::string_view stream,
    std::string_view org
) {
    const RouteGroup* best = nullptr;
    int best_score = -1;
    for (const RouteGroup& group : groups) {
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
    const auto groups = groups_.With([](const auto& current) { return current; });
    const RouteGroup* group = GroupFor(*groups, domain, stream, org);
    if (group == nullptr) return {"", "no_route"};
    std::vector<RouteGroup::Member> up;
    for (const auto& member : group->members) {
        if (member.weight > 0 && is_up(member.transport)) up.push_back(member);
    }
    if (up.empty()) return {"", "no_route"};
    std::stable_sort(up.begin(), up.end(), [](const auto& a, const auto& b) {
        return a.priority < b.priority;
    });
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
            if (board_.Of(prefix_ + member.transport)->Admit(now)) return {member.transport, ""};
        }
        from = to;
    }
    return {"", "transport_circuit_open"};
}

void RoutePlanner::Report(
    const std::string& transport, model::ResultClass result, base::MonoTime now
) {
    board_.Of(prefix_ + transport)->Report(result, now);
}

}  // namespace opensend::delivery
