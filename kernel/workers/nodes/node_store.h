#pragma once

#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/db/session.h"
#include "kernel/runtime/pulse.h"

namespace opensend::nodes {

/// A server process that shares the database.
struct Node {
    std::string id;
    std::string roles;  // "api,worker"
    base::Time started_at, seen_at;
    std::vector<runtime::Pulse> jobs{};  // its own, as of seen_at
};

class NodeStore {
public:
    /// Says that the node lives.
    static void Beat(db::Session& tx, const Node& node);
    static void Remove(db::Session& tx, const std::string& id);
    /// Rows of processes that ended without a word.
    static void Forget(db::Session& tx, base::Time seen_before);
    static std::vector<Node> SeenSince(db::Session& session, base::Time since);
};

}  // namespace opensend::nodes
