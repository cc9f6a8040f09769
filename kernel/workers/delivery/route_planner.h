#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/guarded.h"
#include "kernel/model/delivery_outcome.h"

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

/// Opens after 5 failures in 60 s or one auth_config; half-open after 30 s, doubling to 10 min; one
/// probe at a time (SEND-23).
class Breaker {
public:
    enum class State { kClosed = 1, kOpen, kHalfOpen };
    /// True when a call may be made now; in the half-open state it admits one.
    bool Admit(base::MonoTime now);
    void Report(model::ResultClass result, base::MonoTime now);
    State state(base::MonoTime now) const;

private:
    std::vector<base::MonoTime> failures_;
    base::MonoTime open_until_{0};
    std::chrono::seconds pause_{30};
    bool open_ = false;
    bool probing_ = false;
    base::MonoTime probe_since_{0};
};

/// Which transport takes a message, and why not. Thread-safe.
class RoutePlanner {
public:
    explicit RoutePlanner(std::vector<RouteGroup> groups) : groups_(std::move(groups)) {}

    struct Choice {
        std::string transport;  // empty: none
        std::string reason;     // "no_route" or "transport_circuit_open" when none
    };
    /// Of the members that `is_up` says can send, by priority, then weight seeded by `seed`.
    Choice Choose(
        std::string_view domain,
        std::string_view stream,
        std::string_view org,
        uint64_t seed,
        base::MonoTime now,
        const std::function<bool(const std::string&)>& is_up
    );
    void Report(const std::string& transport, model::ResultClass result, base::MonoTime now);

private:
    const RouteGroup* GroupFor(
        std::string_view domain, std::string_view stream, std::string_view org
    ) const;
    std::vector<RouteGroup> groups_;  // constant after construction
    base::Guarded<std::map<std::string, Breaker>> breakers_;
};

}  // namespace opensend::delivery
