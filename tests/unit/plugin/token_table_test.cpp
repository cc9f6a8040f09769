#include "kernel/plugin/token_table.h"

#include <gtest/gtest.h>

namespace opensend::plugin {
namespace {

class CountingWaiter final : public Waiter {
public:
    bool Accept(osp_token, const osp_completion&) override { return ++accepted > 0; }
    void Abandon() override { ++abandoned; }
    int accepted = 0, abandoned = 0;
};

class TokenTableTest : public testing::Test {
protected:
    PluginCounters counters;
    TokenTable table{counters};
    std::shared_ptr<CountingWaiter> waiter = std::make_shared<CountingWaiter>();
    const osp_completion done{sizeof(osp_completion), OSP_OK, nullptr, nullptr};
};

TEST_F(TokenTableTest, ATokenIsCompletedOnce) {
    const osp_token token = table.Open(waiter);
    EXPECT_NE(token, 0u);
    EXPECT_EQ(table.Complete(token, done), OSP_OK);
    EXPECT_EQ(table.Complete(token, done), OSP_E_STATE);
    EXPECT_EQ(waiter->accepted, 1);
    EXPECT_EQ(counters.errors, 1u);
    EXPECT_EQ(counters.late, 0u);
}

TEST_F(TokenTableTest, ARevokedTokenIsLate) {
    const osp_token token = table.Open(waiter);
    EXPECT_TRUE(table.Revoke(token));
    EXPECT_FALSE(table.Revoke(token));
    EXPECT_EQ(table.Complete(token, done), OSP_E_STATE);
    EXPECT_EQ(counters.late, 1u);
}

TEST_F(TokenTableTest, LateTwiceAndInventedAreToldApart) {
    const osp_token late = table.Open(waiter);
    table.Revoke(late);
    const osp_token fresh = table.Open(waiter);
    EXPECT_EQ(table.Complete(late, done), OSP_E_STATE) << "its slot is in use again";
    EXPECT_EQ(counters.late, 1u);
    table.Complete(late, done);
    EXPECT_EQ(counters.twice, 1u);
    table.Complete(0, done);
    table.Complete(~osp_token{0}, done);
    table.Complete(fresh + (osp_token{5} << 32), done);
    EXPECT_EQ(counters.unknown, 3u);
    table.Settle(fresh);
    table.Complete(fresh, done);
    EXPECT_EQ(counters.twice, 2u);
    EXPECT_EQ(table.stale_count(), 5u);
    EXPECT_EQ(waiter->accepted, 0);
}

TEST_F(TokenTableTest, AnOldTokenNeverFitsItsReusedSlot) {
    const osp_token old = table.Open(waiter);
    table.Complete(old, done);
    const osp_token fresh = table.Open(waiter);
    EXPECT_NE(old, fresh);
    EXPECT_EQ(table.Complete(old, done), OSP_E_STATE);
    EXPECT_TRUE(table.IsOpen(fresh));
}

TEST_F(TokenTableTest, OpenTokensAreBounded) {
    for (int i = 0; i < 65'536; ++i) ASSERT_NE(table.Open(waiter), 0u);
    EXPECT_EQ(table.Open(waiter), 0u);
    table.RevokeAll();
    EXPECT_EQ(waiter->abandoned, 65'536);
    EXPECT_EQ(table.open_count(), 0u);
}

}  // namespace
}  // namespace opensend::plugin
