#include "kernel/workers/delivery/route_planner.h"

#include <map>
#include <set>

#include <gmock/gmock.h>

#include "kernel/workers/delivery/pacer.h"

namespace opensend::delivery {
namespace {

using model::ResultClass;
using std::chrono::milliseconds;
using std::chrono::seconds;

base::MonoTime At(std::chrono::nanoseconds since_start) {
    return base::MonoTime{1'000'000'000} + since_start;
}

void FailFiveTimes(Breaker& breaker, base::MonoTime now) {
    for (int i = 0; i < 5; ++i) breaker.Report(ResultClass::kTemp, now);
}

TEST(Breaker, OpensAfterFiveFailuresInAMinute) {
    Breaker breaker;
    for (int i = 0; i < 4; ++i) breaker.Report(ResultClass::kTemp, At(seconds(i * 10)));
    EXPECT_TRUE(breaker.Admit(At(seconds(40))));
    breaker.Report(ResultClass::kProtocol, At(seconds(59)));
    EXPECT_EQ(breaker.state(At(seconds(59))), Breaker::State::kOpen);
    EXPECT_FALSE(breaker.Admit(At(seconds(59))));
}

TEST(Breaker, FailuresOlderThanAMinuteDoNotCount) {
    Breaker breaker;
    for (int i = 0; i < 20; ++i) {
        breaker.Report(ResultClass::kTemp, At(seconds(i * 16)));
        EXPECT_EQ(breaker.state(At(seconds(i * 16))), Breaker::State::kClosed) << i;
    }
}

TEST(Breaker, ASuccessForgetsFailures) {
    Breaker breaker;
    for (int i = 0; i < 4; ++i) breaker.Report(ResultClass::kTemp, At(seconds(0)));
    breaker.Report(ResultClass::kOk, At(seconds(1)));
    for (int i = 0; i < 4; ++i) breaker.Report(ResultClass::kTemp, At(seconds(2)));
    EXPECT_TRUE(breaker.Admit(At(seconds(3))));
}

TEST(Breaker, RefusedCredentialsOpenItAtOnce) {
    Breaker breaker;
    breaker.Report(ResultClass::kAuthConfig, At(seconds(0)));
    EXPECT_FALSE(breaker.Admit(At(seconds(1))));
}

TEST(Breaker, WhatSaysNothingAboutTheTransportIsNotCounted) {
    Breaker breaker;
    for (int i = 0; i < 20; ++i) {
        for (const ResultClass result :
             {ResultClass::kThrottle, ResultClass::kNotTried, ResultClass::kPermRecipient,
              ResultClass::kPermContent}) {
            breaker.Report(result, At(seconds(i)));
        }
    }
    EXPECT_EQ(breaker.state(At(seconds(20))), Breaker::State::kClosed);
}

TEST(Breaker, AdmitsOneProbeAfterThirtySeconds) {
    Breaker breaker;
    FailFiveTimes(breaker, At(seconds(0)));
    EXPECT_FALSE(breaker.Admit(At(milliseconds(29'999))));
    EXPECT_EQ(breaker.state(At(seconds(30))), Breaker::State::kHalfOpen);
    EXPECT_TRUE(breaker.Admit(At(seconds(30))));
    EXPECT_FALSE(breaker.Admit(At(seconds(30))));
    breaker.Report(ResultClass::kOk, At(seconds(31)));
    EXPECT_EQ(breaker.state(At(seconds(31))), Breaker::State::kClosed);
    EXPECT_TRUE(breaker.Admit(At(seconds(31))));
    EXPECT_TRUE(breaker.Admit(At(seconds(31))));
}

TEST(Breaker, EachFailedProbeDoublesThePauseUpToTenMinutes) {
    Breaker breaker;
    FailFiveTimes(breaker, At(seconds(0)));
    seconds now{30};
    for (const int pause : {60, 120, 240, 480, 600, 600}) {
        ASSERT_TRUE(breaker.Admit(At(now))) << pause;
        breaker.Report(ResultClass::kTemp, At(now));
        EXPECT_FALSE(breaker.Admit(At(now + seconds(pause - 1)))) << pause;
        now += seconds(pause);
    }
    ASSERT_TRUE(breaker.Admit(At(now)));
    breaker.Report(ResultClass::kOk, At(now));
    FailFiveTimes(breaker, At(now));
    EXPECT_TRUE(breaker.Admit(At(now + seconds(30)))) << "a success begins again with 30 s";
}

TEST(Breaker, LateFailuresWhileOpenDoNotProlongThePause) {
    Breaker breaker;
    FailFiveTimes(breaker, At(seconds(0)));
    breaker.Report(ResultClass::kTemp, At(seconds(29)));
    EXPECT_TRUE(breaker.Admit(At(seconds(30))));
}

TEST(Breaker, AProbeWithoutAnswerDoesNotBlockForGood) {
    Breaker breaker;
    FailFiveTimes(breaker, At(seconds(0)));
    ASSERT_TRUE(breaker.Admit(At(seconds(30))));
    EXPECT_FALSE(breaker.Admit(At(seconds(149))));
    EXPECT_TRUE(breaker.Admit(At(seconds(150))));
}

class RoutePlannerTest : public testing::Test {
protected:
    static RouteGroup Group(std::string name, std::vector<RouteGroup::Member> members) {
        RouteGroup group;
        group.name = std::move(name);
        group.members = std::move(members);
        return group;
    }
    /// The transport, or the reason in brackets.
    std::string Choose(
        RoutePlanner& planner,
        std::string_view domain = "a.example",
        std::string_view stream = "transactional",
        std::string_view org = "org1",
        uint64_t seed = 0
    ) const {
        const auto choice = planner.Choose(domain, stream, org, seed, now_, [this](const auto& t) {
            return down_.count(t) == 0;
        });
        return choice.transport.empty() ? "[" + choice.reason + "]" : choice.transport;
    }
    void Fail(RoutePlanner& planner, const std::string& transport) const {
        planner.Report(transport, ResultClass::kAuthConfig, now_);
    }

    base::MonoTime now_ = At(seconds(0));
    std::set<std::string> down_;
};

TEST_F(RoutePlannerTest, WithoutGroupsThereIsNoRoute) {
    RoutePlanner planner({});
    EXPECT_EQ(Choose(planner), "[no_route]");
}

TEST_F(RoutePlannerTest, AGroupThatBindsNothingServesOnlyAsDefault) {
    RoutePlanner other({
        Group("other", {{"x", 100, 1}}
         )
    });
    EXPECT_EQ(Choose(other), "[no_route]");
    RoutePlanner planner({
        Group("default", {{"x", 100, 1}}
         )
    });
    EXPECT_EQ(Choose(planner), "x");
}

TEST_F(RoutePlannerTest, TheMostSpecificGroupWins) {
    auto by_stream = Group(
        "s",
        {
            {"stream", 100, 1}
    }
    );
    by_stream.streams = {"bulk"};
    auto by_domain = Group(
        "d",
        {
            {"domain", 100, 1}
    }
    );
    by_domain.domains = {"a.example"};
    auto by_org = Group(
        "o",
        {
            {"org", 100, 1}
    }
    );
    by_org.orgs = {"org1"};
    auto by_all = Group(
        "all",
        {
            {"all", 100, 1}
    }
    );
    by_all.orgs = {"org1"};
    by_all.domains = {"a.example"};
    by_all.streams = {"bulk"};
    RoutePlanner planner({
        Group("default", {{"default", 100, 1}}
         ), by_stream, by_domain, by_org, by_all
    });
    EXPECT_EQ(Choose(planner, "b.example", "transactional", "org2"), "default");
    EXPECT_EQ(Choose(planner, "b.example", "bulk", "org2"), "stream");
    EXPECT_EQ(Choose(planner, "a.example", "bulk", "org2"), "domain");
    EXPECT_EQ(Choose(planner, "a.example", "transactional", "org1"), "org");
    EXPECT_EQ(Choose(planner, "a.example", "bulk", "org1"), "all");
}

TEST_F(RoutePlannerTest, WeightsShareOnePriority) {
    RoutePlanner planner({
        Group("default", {{"a", 3, 1}, {"b", 1, 1}, {"spare", 100, 2}}
         )
    });
    std::map<std::string, int> chosen;
    for (uint64_t seed = 0; seed < 400; ++seed) {
        ++chosen[Choose(planner, "a.example", "bulk", "org1", seed)];
    }
    EXPECT_EQ(chosen["a"], 300);
    EXPECT_EQ(chosen["b"], 100);
    EXPECT_EQ(chosen.count("spare"), 0U);
}

TEST_F(RoutePlannerTest, OneMessageKeepsItsTransport) {
    RoutePlanner planner({
        Group("default", {{"a", 50, 1}, {"b", 50, 1}}
         )
    });
    const std::string first = Choose(planner, "a.example", "bulk", "org1", 77);
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(Choose(planner, "a.example", "bulk", "org1", 77), first);
    }
}

TEST_F(RoutePlannerTest, OrderInTheListDoesNotBeatPriority) {
    RoutePlanner planner({
        Group("default", {{"late", 100, 2}, {"early", 1, 1}}
         )
    });
    EXPECT_EQ(Choose(planner), "early");
}

TEST_F(RoutePlannerTest, AnOpenBreakerMovesMailToTheNextMember) {
    RoutePlanner planner({
        Group("default", {{"a", 100, 1}, {"b", 0, 1}, {"c", 100, 2}}
         )
    });
    EXPECT_EQ(Choose(planner), "a");
    Fail(planner, "a");
    EXPECT_EQ(Choose(planner), "c") << "a weight of nothing is never chosen";
    Fail(planner, "c");
    EXPECT_EQ(Choose(planner), "[transport_circuit_open]");
    now_ = At(seconds(31));
    EXPECT_EQ(Choose(planner), "a") << "one probe";
    EXPECT_EQ(Choose(planner), "c") << "and the probe of the other";
    EXPECT_EQ(Choose(planner), "[transport_circuit_open]");
}

TEST_F(RoutePlannerTest, AMemberThatIsNotUpIsNoRoute) {
    RoutePlanner planner({
        Group("default", {{"a", 100, 1}, {"b", 100, 1}}
         )
    });
    down_ = {"a"};
    for (uint64_t seed = 0; seed < 200; ++seed) {
        EXPECT_EQ(Choose(planner, "a.example", "bulk", "org1", seed), "b");
    }
    down_ = {"a", "b"};
    EXPECT_EQ(Choose(planner), "[no_route]");
}

TEST_F(RoutePlannerTest, MembersThatFailedComeLastAndThoseThatRefusedNever) {
    RoutePlanner planner({
        Group("default", {{"a", 100, 1}, {"b", 100, 2}, {"c", 100, 3}}
         )
    });
    const auto choose = [&](const RouteMemory& memory) {
        return planner.Choose(
            "a.example", "transactional", "org1", 0, now_, [](const auto&) { return true; }, memory
        );
    };
    RouteMemory memory;
    memory.Note("a", ResultClass::kThrottle);
    EXPECT_EQ(choose(memory).transport, "b");
    ASSERT_EQ(choose(memory).skipped.size(), 1u);
    EXPECT_EQ(choose(memory).skipped[0].reason, "failed_before");
    memory.Note("b", ResultClass::kPermReputation);
    EXPECT_EQ(choose(memory).transport, "c");
    memory.Note("c", ResultClass::kThrottle);
    EXPECT_EQ(choose(memory).transport, "a");
    const auto fresh = [&](const RouteMemory& what) {
        return planner.HasFresh(
            "a.example", "transactional", "org1", now_, [](const auto&) { return true; }, what
        );
    };
    EXPECT_FALSE(fresh(memory));
    memory.ForgetAvoided();
    EXPECT_TRUE(fresh(memory));
    Fail(planner, "a");
    Fail(planner, "c");
    EXPECT_FALSE(fresh(memory));
}

TEST(Pacer, KeepsTheRateAndTheNumberAtOnce) {
    Pacer pacer({
        {"slow",   {10, seconds(1), 0}},
        {"narrow", {0, seconds(0), 2} }
    });
    int admitted = 0;
    for (int tenths = 0; tenths < 50; ++tenths) {
        while (pacer.Admit("slow", At(milliseconds(tenths * 100))).count() == 0) ++admitted;
    }
    EXPECT_GE(admitted, 49);
    EXPECT_LE(admitted, 51);
    EXPECT_EQ(pacer.Admit("narrow", At(seconds(0))).count(), 0);
    EXPECT_EQ(pacer.Admit("narrow", At(seconds(0))).count(), 0);
    EXPECT_GT(pacer.Admit("narrow", At(seconds(0))).count(), 0);
    pacer.Done("narrow");
    EXPECT_EQ(pacer.Admit("narrow", At(seconds(0))).count(), 0);
    for (int i = 0; i < 1'000; ++i) EXPECT_EQ(pacer.Admit("free", At(seconds(0))).count(), 0);
}

}  // namespace
}  // namespace opensend::delivery
