#include "kernel/workers/nodes/heartbeat.h"

#include <algorithm>
#include <utility>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/db/transaction.h"
#include "kernel/runtime/log.h"

namespace opensend::nodes {
namespace {

constexpr std::chrono::seconds kBeatInterval{5};
constexpr std::chrono::seconds kLiveFor{15};
constexpr std::chrono::hours kRemembered{1};

bool AnswersClients(const Node& node) {
    const auto roles = base::Split(node.roles, ',');
    return std::any_of(roles.begin(), roles.end(), [](std::string_view role) {
        return role == "api" || role == "smtp";
    });
}

}  // namespace

Heartbeat::Heartbeat(
    db::Pool& pool, const base::Clock& clock, std::string id, std::string roles, OnCount on_count
)
    : pool_(pool),
      clock_(clock),
      node_{std::move(id), std::move(roles), clock.Now(), clock.Now()},
      on_count_(std::move(on_count)) {
    Beat();
    periodic_ = std::make_unique<runtime::Periodic>("heartbeat", kBeatInterval, [this] { Beat(); });
}

Heartbeat::~Heartbeat() {
    periodic_.reset();
    try {
        db::Transaction tx(pool_, db::Plane::kDashboard, db::Scope::AllTenants());
        NodeStore::Remove(tx, node_.id);
        tx.Commit();
    } catch (const base::Error& error) {
        OPENSEND_LOG(
            kWarn, "heartbeat.left_behind", "the row of this process stays until it is old",
            kv("detail", error.what())
        );
    }
}

void Heartbeat::Beat() {
    node_.seen_at = clock_.Now();
    node_.jobs = runtime::Pulses();
    db::Transaction tx(pool_, db::Plane::kDashboard, db::Scope::AllTenants());
    NodeStore::Beat(tx, node_);
    NodeStore::Forget(tx, node_.seen_at - kRemembered);
    const auto nodes = NodeStore::SeenSince(tx, node_.seen_at - kLiveFor);
    tx.Commit();
    std::vector<runtime::Pulse> jobs;
    for (const Node& node : nodes) jobs = runtime::LastSeen(std::move(jobs), node.jobs);
    jobs_.With([&](auto& kept) { kept = std::move(jobs); });
    on_count_(static_cast<uint32_t>(std::count_if(nodes.begin(), nodes.end(), AnswersClients)));
}

std::vector<runtime::Pulse> Heartbeat::Jobs() const {
    return jobs_.With([](const auto& kept) { return kept; });
}

}  // namespace opensend::nodes
