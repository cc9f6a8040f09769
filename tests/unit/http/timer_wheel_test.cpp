#include "kernel/http/timer_wheel.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace opensend::http {
namespace {

using std::chrono::milliseconds;

base::MonoTime At(int64_t ms) { return {ms * 1'000'000}; }

TEST(TimerWheel, FiresInTheTickAfterTheDeadlineAndNotBefore) {
    TimerWheel wheel(At(0));
    TimerNode node;
    int fired = 0;
    const auto advance = [&](int64_t ms) { wheel.Advance(At(ms), [&](TimerNode&) { ++fired; }); };
    wheel.Set(node, At(1'000));
    advance(999);
    EXPECT_EQ(fired, 0);
    advance(1'025);
    EXPECT_EQ(fired, 1);
    EXPECT_FALSE(node.armed());
    advance(500'000);
    EXPECT_EQ(fired, 1);
}

TEST(TimerWheel, LaterRoundsWait) {
    TimerWheel wheel(At(0));
    TimerNode node;
    int fired = 0;
    wheel.Set(node, At(600'000));
    for (int64_t ms = 0; ms < 600'000; ms += 50) {
        wheel.Advance(At(ms), [&](TimerNode&) { ++fired; });
    }
    EXPECT_EQ(fired, 0);
    wheel.Advance(At(600'025), [&](TimerNode&) { ++fired; });
    EXPECT_EQ(fired, 1);
}

TEST(TimerWheel, ALongPauseLosesNothing) {
    TimerWheel wheel(At(0));
    std::vector<TimerNode> nodes(1'000);
    for (size_t i = 0; i < nodes.size(); ++i) {
        wheel.Set(nodes[i], At(static_cast<int64_t>(i) * 500));
    }
    size_t fired = 0;
    wheel.Advance(At(10'000'000), [&](TimerNode&) { ++fired; });
    EXPECT_EQ(fired, nodes.size());
}

TEST(TimerWheel, AFiringNodeMaySetAndUnlinkOthers) {
    TimerWheel wheel(At(0));
    TimerNode first, second, third;
    wheel.Set(first, At(100));
    wheel.Set(second, At(100));
    wheel.Set(third, At(900'000));
    std::vector<TimerNode*> fired;
    wheel.Advance(At(200), [&](TimerNode& node) {
        fired.push_back(&node);
        second.Unlink();
        wheel.Set(first, At(300));
        wheel.Set(third, At(300));
    });
    EXPECT_EQ(fired, std::vector<TimerNode*>{&first});
    size_t later = 0;
    wheel.Advance(At(400), [&](TimerNode&) { ++later; });
    EXPECT_EQ(later, 2U);
}

}  // namespace
}  // namespace opensend::http
