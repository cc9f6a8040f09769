#include "kernel/workers/nodes/node_store.h"

#include <chrono>

#include "kernel/json/value.h"
#include "kernel/json/writer.h"

namespace opensend::nodes {
namespace {

constexpr db::Query kBeat{"nodes.beat", R"sql(
    INSERT INTO node_heartbeats (node_id, roles, started_at, seen_at, jobs)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (node_id) DO UPDATE SET seen_at = excluded.seen_at, jobs = excluded.jobs)sql"};
constexpr db::Query kRemove{"nodes.remove", "DELETE FROM node_heartbeats WHERE node_id = $1"};
constexpr db::Query kForget{"nodes.forget", "DELETE FROM node_heartbeats WHERE seen_at < $1"};
constexpr db::Query kSeenSince{"nodes.seen_since", R"sql(
    SELECT node_id, roles, started_at, seen_at, jobs FROM node_heartbeats
     WHERE seen_at >= $1 ORDER BY node_id)sql"};

/// [["delivery", interval in ms, seen in µs], …]
std::string JobsText(const std::vector<runtime::Pulse>& jobs) {
    json::Writer out;
    out.BeginArray();
    for (const runtime::Pulse& pulse : jobs) {
        out.BeginArray()
            .String(pulse.job)
            .Int(pulse.interval.count())
            .Int(pulse.seen.us)
            .EndArray();
    }
    out.EndArray();
    return out.Take();
}

std::vector<runtime::Pulse> ReadJobs(const std::string& text) {
    std::vector<runtime::Pulse> jobs;
    const auto document = json::Document::Parse(text);
    if (!document.ok() || !document->root().IsArray()) return jobs;
    for (size_t i = 0; i < document->root().size(); ++i) {
        const json::Value one = document->root().At(i);
        if (!one.IsArray() || one.size() != 3) continue;
        jobs.push_back(
            {std::string(one.At(0).AsString()), base::Time{one.At(2).AsInt()},
             std::chrono::milliseconds(one.At(1).AsInt())}
        );
    }
    return jobs;
}

}  // namespace

void NodeStore::Beat(db::Session& tx, const Node& node) {
    tx.Change(kBeat, {node.id, node.roles, node.started_at, node.seen_at, JobsText(node.jobs)});
}

void NodeStore::Remove(db::Session& tx, const std::string& id) { tx.Change(kRemove, {id}); }

void NodeStore::Forget(db::Session& tx, base::Time seen_before) {
    tx.Change(kForget, {seen_before});
}

std::vector<Node> NodeStore::SeenSince(db::Session& session, base::Time since) {
    std::vector<Node> nodes;
    for (const db::Row& row : session.Execute(kSeenSince, {since})) {
        nodes.push_back({row.Text(0), row.Text(1), row.Time(2), row.Time(3), ReadJobs(row.Text(4))}
        );
    }
    return nodes;
}

}  // namespace opensend::nodes
