#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/runtime/answer_rule.h"

namespace opensend::runtime {

/// One configured transport. Exactly one of `kind` (the scheme of its URL) and `plugin` is set.
/// `config_json` is an object of strings, except "port" (number) and secrets, which stand as
/// {"$secret":"<reference>"} for Config::ResolveSecret.
struct TransportSpec {
    std::string name, kind, plugin, config_json;
    uint64_t rate_count = 0, rate_period_us = 0;  // recipients in a time; 0: no limit
    int64_t concurrency = 0;                      // recipients at once; 0: no limit
    std::vector<AnswerRule> answers{};            // its own, then those for all that fit its kind
};

struct GroupMember {
    std::string transport;
    int weight = 100, priority = 1;
};
struct GroupSpec {
    std::string name;
    std::vector<GroupMember> members;
    std::vector<std::string> domains, streams, orgs;
};

/// `burst` units at once, `count` units per `period_us` sustained.
struct BucketNumbers {
    uint64_t count = 0, period_us = 0, burst = 0;
};

}  // namespace opensend::runtime
