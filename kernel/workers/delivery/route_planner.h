#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/guarded.h"
#include "kernel/model/breaker.h"
#include "kernel/model/delivery_outcome.h"
#include "kernel/workers/delivery/route_memory.h"

namespace opensend::delivery {

/// A group of transports (SEND-22, SEND-24).
struct RouteGroup {
    struct Member {
        std::string transport;
        int weight = 100;
        int priority = 1;
    };
    std::string name;
    std::vector<Member> members;
    std::vector<std::string> domains, streams, orgs;  // empty: any
};

using model::Breaker;

/// Which transport takes a message, and why not. Thread-safe.
class RoutePlanner {
public:
    /// The breaker of transport t is that of `board` under prefix + t; null: boards of its own.
    explicit RoutePlanner(
        std::vector<RouteGroup> groups,
        model::BreakerBoard* board = nullptr,
        std::string prefix = {}
    );
    /// Other groups from now on; breakers stay.
    void SetGroups(std::vector<RouteGroup> groups);

    struct Skipped {
        std::string transport, reason;  // "not_available", "refused_sender", "failed_before", …
    };
    struct Choice {
        std::string transport;  // empty: none
        std::string reason;     // "no_route" or "transport_circuit_open" when none
        std::string group;
        std::vector<Skipped> skipped{};
    };
    /// Of the members that `is_up` says can send, by priority, then weight seeded by `seed`. Those
    /// that `memory` avoids come after all others; those that refused come never.
    Choice Choose(
        std::string_view domain,
        std::string_view stream,
        std::string_view org,
        uint64_t seed,
        base::MonoTime now,
        const std::function<bool(const std::string&)>& is_up,
        const RouteMemory& memory = {}
    );
    /// Another member than `memory` avoids could be asked now.
    bool HasFresh(
        std::string_view domain,
        std::string_view stream,
        std::string_view org,
        base::MonoTime now,
        const std::function<bool(const std::string&)>& is_up,
        const RouteMemory& memory
    );
    void Report(const std::string& transport, model::ResultClass result, base::MonoTime now);

private:
    static const RouteGroup* GroupFor(
        const std::vector<RouteGroup>& groups,
        std::string_view domain,
        std::string_view stream,
        std::string_view org
    );
    base::Guarded<std::shared_ptr<const std::vector<RouteGroup>>> groups_;
    model::BreakerBoard own_board_;
    model::BreakerBoard& board_;
    const std::string prefix_;
};

}  // namespace opensend::delivery
