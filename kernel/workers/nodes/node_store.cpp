#include "kernel/workers/nodes/node_store.h"

namespace opensend::nodes {
namespace {

constexpr db::Query kBeat{"nodes.beat", R"sql(
    INSERT INTO node_heartbeats (node_id, roles, started_at, seen_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (node_id) DO UPDATE SET seen_at = excluded.seen_at)sql"};
constexpr db::Query kRemove{"nodes.remove", "DELETE FROM node_heartbeats WHERE node_id = $1"};
constexpr db::Query kForget{"nodes.forget", "DELETE FROM node_heartbeats WHERE seen_at < $1"};
constexpr db::Query kSeenSince{"nodes.seen_since", R"sql(
    SELECT node_id, roles, started_at, seen_at FROM node_heartbeats
     WHERE seen_at >= $1 ORDER BY node_id)sql"};

}  // namespace

void NodeStore::Beat(db::Session& tx, const Node& node) {
    tx.Change(kBeat, {node.id, node.roles, node.started_at, node.seen_at});
}

void NodeStore::Remove(db::Session& tx, const std::string& id) { tx.Change(kRemove, {id}); }

void NodeStore::Forget(db::Session& tx, base::Time seen_before) {
    tx.Change(kForget, {seen_before});
}

std::vector<Node> NodeStore::SeenSince(db::Session& session, base::Time since) {
    std::vector<Node> nodes;
    for (const db::Row& row : session.Execute(kSeenSince, {since})) {
        nodes.push_back({row.Text(0), row.Text(1), row.Time(2), row.Time(3)});
    }
    return nodes;
}

}  // namespace opensend::nodes
