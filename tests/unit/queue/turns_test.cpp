#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "kernel/crypto/random.h"
#include "kernel/db/migrator.h"
#include "kernel/db/transaction.h"
#include "kernel/queue/queue_store.h"
#include "tests/support/temp_db.h"

namespace opensend::queue {
namespace {

constexpr base::Time kNow{1'700'000'000'000'000};

class Turns : public testing::TestWithParam<db::Dialect> {
protected:
    Turns() : db_(GetParam()), pool_(db_.Open()) { db::Migrate(*pool_, kNow); }

    void Add(const model::TenantId& tenant, int count, base::Time due = kNow) {
        std::vector<QueueRow> rows;
        for (int i = 0; i < count; ++i) {
            QueueRow row;
            row.email = model::EmailId(ids_.Next());
            row.tenant = tenant;
            row.due_at = row.first_due_at = due;
            rows.push_back(row);
        }
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        QueueStore::Enqueue(tx, rows);
        tx.Commit();
    }
    /// How many rows each tenant got.
    std::map<model::TenantId, int> Claim(int limit) {
        db::Transaction tx(*pool_, db::Plane::kDeliver, db::Scope::AllTenants());
        std::map<model::TenantId, int> out;
        for (const QueueRow& row : QueueStore::Claim(
                 tx, Lane::kTransactional, "w", kNow, kNow + std::chrono::minutes(1), limit, turn_
             )) {
            ++out[row.tenant];
        }
        tx.Commit();
        return out;
    }
    model::TenantId NewTenant() { return model::TenantId(ids_.Next()); }

    base::SystemClock clock_;
    crypto::SystemRandom random_;
    base::UuidSource ids_{clock_, random_};
    test::TempDb db_;
    std::unique_ptr<db::Pool> pool_;
    std::string turn_;
};

TEST_P(Turns, ALargeBacklogDoesNotHoldUpTheOthers) {
    const auto big = NewTenant();
    const auto small = NewTenant();
    Add(big, 1'000, kNow - std::chrono::hours(1));
    Add(small, 3);
    const auto first = Claim(100);
    EXPECT_EQ(first.at(big), 50);
    EXPECT_EQ(first.at(small), 3);
}

TEST_P(Turns, OneTenantAloneUsesTheWholeRound) {
    const auto only = NewTenant();
    Add(only, 130);
    EXPECT_EQ(Claim(100).at(only), 100);
    EXPECT_EQ(Claim(100).at(only), 30);
    EXPECT_TRUE(Claim(100).empty());
}

TEST_P(Turns, EveryTenantHasItsTurnBeforeOneHasASecond) {
    std::map<model::TenantId, int> got;
    for (int i = 0; i < 40; ++i) Add(NewTenant(), 200);
    // 40 tenants of up to 50 rows at 100 a round.
    for (int round = 0; round < 20; ++round) {
        for (const auto& [tenant, count] : Claim(100)) got[tenant] += count;
    }
    EXPECT_EQ(got.size(), 40u);
    for (const auto& [tenant, count] : got) EXPECT_EQ(count, 50);
}

TEST_P(Turns, TenantsWithNothingDueAreSteppedOver) {
    for (int i = 0; i < 30; ++i) Add(NewTenant(), 5, kNow + std::chrono::hours(1));
    const auto late = NewTenant();
    Add(late, 2);
    EXPECT_EQ(Claim(100).at(late), 2);
    EXPECT_TRUE(Claim(100).empty());
}

INSTANTIATE_TEST_SUITE_P(
    Databases,
    Turns,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& each) { return test::DialectName(each.param); }
);

}  // namespace
}  // namespace opensend::queue
