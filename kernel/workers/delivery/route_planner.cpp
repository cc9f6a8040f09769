#include "kernel/workers/delivery/route_planner.h"

#include <algorithm>

namespace opensend::delivery {
namespace {

bool Binds(const std::vector<std::string>& list, std::string_view value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

/// By priority; among equals a weighted start, then the others in their order.
std::vector<RouteGroup::Member> InOrder(std::vector<RouteGroup::Member> members, uint64_t seed) {
    std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
        return a.priority < b.priority;
    });
    std::vector<RouteGroup::Member> out;
    for (size_t from = 0; from < members.size();) {
        size_t to = from;
        uint64_t total = 0;
        while (to < members.size() && members[to].priority == members[from].priority) {
            total += static_cast<uint64_t>(members[to++].weight);
        }
        uint64_t mark = seed % total;
        size_t start = from;
        while (mark >= static_cast<uint64_t>(members[start].weight)) {
            mark -= static_cast<uint64_t>(members[start++].weight);
        }
        for (size_t i = 0; i < to - from; ++i) {
            out.push_back(members[from + (start - from + i) % (to - from)]);
        }
        from = to;
    }
    return out;
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
    const std::function<bool(const std::string&)>& is_up,
    const RouteMemory& memory
) {
    const auto groups = groups_.With([](const auto& current) { return current; });
    const RouteGroup* group = GroupFor(*groups, domain, stream, org);
    Choice choice{"", "no_route", group == nullptr ? "" : group->name};
    if (group == nullptr) return choice;
    std::vector<RouteGroup::Member> fresh, avoided;
    for (const auto& member : group->members) {
        const bool up = is_up(member.transport);
        if (member.weight <= 0 || !up) {
            choice.skipped.push_back({member.transport, up ? "no_weight" : "not_available"});
        } else if (memory.Refused(member.transport)) {
            choice.skipped.push_back({member.transport, "refused_sender"});
        } else {
            (memory.Avoids(member.transport) ? avoided : fresh).push_back(member);
        }
    }
    if (fresh.empty() && avoided.empty()) return choice;
    choice.reason = "transport_circuit_open";
    for (auto* members : {&fresh, &avoided}) {
        for (const auto& member : InOrder(std::move(*members), seed)) {
            if (board_.Of(prefix_ + member.transport)->Admit(now)) {
                choice.transport = member.transport;
                choice.reason.clear();
                break;
            }
            choice.skipped.push_back({member.transport, "circuit_open"});
        }
        if (!choice.transport.empty()) break;
    }
    if (memory.Avoids(choice.transport)) return choice;
    for (const auto& member : group->members) {
        if (memory.Avoids(member.transport) && !memory.Refused(member.transport)) {
            choice.skipped.push_back({member.transport, "failed_before"});
        }
    }
    return choice;
}

bool RoutePlanner::HasFresh(
    std::string_view domain,
    std::string_view stream,
    std::string_view org,
    base::MonoTime now,
    const std::function<bool(const std::string&)>& is_up,
    const RouteMemory& memory
) {
    const auto groups = groups_.With([](const auto& current) { return current; });
    const RouteGroup* group = GroupFor(*groups, domain, stream, org);
    if (group == nullptr) return false;
    return std::any_of(group->members.begin(), group->members.end(), [&](const auto& member) {
        return member.weight > 0 && is_up(member.transport) && !memory.Avoids(member.transport) &&
               board_.Of(prefix_ + member.transport)->state(now) != Breaker::State::kOpen;
    });
}

void RoutePlanner::Report(
    const std::string& transport, model::ResultClass result, base::MonoTime now
) {
    board_.Of(prefix_ + transport)->Report(result, now);
}

}  // namespace opensend::delivery
