#include "kernel/workers/nodes/heartbeat.h"

#include <atomic>
#include <chrono>
#include <memory>

#include <gmock/gmock.h>

#include "kernel/db/migrator.h"
#include "kernel/db/transaction.h"
#include "tests/support/temp_db.h"

namespace opensend::nodes {
namespace {

using testing::ElementsAre;

class MovedClock final : public base::Clock {
public:
    base::Time Now() const override { return base::Time{us.load()}; }
    base::MonoTime Mono() const override { return base::MonoTime{us.load() * 1'000}; }
    std::atomic<int64_t> us{1'700'000'000'000'000};
};

class Nodes : public testing::TestWithParam<db::Dialect> {
protected:
    Nodes() : db_(GetParam()), pool_(db_.Open()) { db::Migrate(*pool_, base::Time{1}); }
    std::unique_ptr<Heartbeat> Start(const std::string& id, const std::string& roles) {
        return std::make_unique<Heartbeat>(*pool_, clock_, id, roles, [this](uint32_t live) {
            live_ = live;
        });
    }
    std::vector<std::string> Ids() {
        db::Reader reader(*pool_, db::Scope::AllTenants());
        std::vector<std::string> ids;
        for (const Node& node : NodeStore::SeenSince(reader, base::Time{0})) ids.push_back(node.id);
        return ids;
    }
    void Leave(const std::string& id, std::chrono::seconds ago) {
        db::Transaction tx(*pool_, db::Plane::kDashboard, db::Scope::AllTenants());
        NodeStore::Beat(tx, {id, "api", clock_.Now() - ago, clock_.Now() - ago});
        tx.Commit();
    }

    MovedClock clock_;
    std::atomic<uint32_t> live_{0};
    test::TempDb db_;
    std::unique_ptr<db::Pool> pool_;
};

TEST_P(Nodes, TellEachOtherWhenAJobLastRan) {
    const std::chrono::milliseconds every(500);
    runtime::Beat("first", every, clock_.Now() - std::chrono::seconds(9));
    const auto one = Start("a", "worker");
    // Another process that saw the same job later, and one more.
    {
        db::Transaction tx(*pool_, db::Plane::kDashboard, db::Scope::AllTenants());
        const base::Time later = clock_.Now() - std::chrono::seconds(2);
        NodeStore::Beat(
            tx,
            {
                "b", "worker", later, later, {{"first", later, every}, {"second", later, every}}
        }
        );
        tx.Commit();
    }
    one->Beat();
    const auto jobs = one->Jobs();
    ASSERT_EQ(jobs.size(), 2u);
    EXPECT_EQ(jobs[0].job, "first");
    EXPECT_EQ(clock_.Now() - jobs[0].seen, std::chrono::seconds(2));
    EXPECT_EQ(jobs[1].job, "second");
    EXPECT_EQ(jobs[1].interval, every);
}

TEST_P(Nodes, CountWhoAnswersClients) {
    const auto first = Start("a", "api,worker");
    EXPECT_EQ(live_, 1u);
    const auto worker = Start("b", "worker");
    EXPECT_EQ(live_, 1u);
    auto third = Start("c", "smtp");
    EXPECT_EQ(live_, 2u);
    EXPECT_THAT(Ids(), ElementsAre("a", "b", "c"));
    third.reset();
    first->Beat();
    EXPECT_EQ(live_, 1u);
    EXPECT_THAT(Ids(), ElementsAre("a", "b"));
}

TEST_P(Nodes, CountForFifteenSecondsAfterTheirLastBeat) {
    Leave("gone", std::chrono::seconds(16));
    Leave("late", std::chrono::seconds(14));
    const auto self = Start("self", "api");
    EXPECT_EQ(live_, 2u);
    clock_.us += 5'000'000;
    self->Beat();
    EXPECT_EQ(live_, 1u);
}

TEST_P(Nodes, AreForgottenWhenTheyAreLongGone) {
    Leave("old", std::chrono::minutes(61));
    Leave("older", std::chrono::minutes(59));
    const auto self = Start("self", "api");
    EXPECT_THAT(Ids(), ElementsAre("older", "self"));
}

INSTANTIATE_TEST_SUITE_P(
    Both,
    Nodes,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& each) { return test::DialectName(each.param); }
);

}  // namespace
}  // namespace opensend::nodes
