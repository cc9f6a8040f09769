#include <cstdlib>

#include <gmock/gmock.h>

#include "tests/unit/plugin/host_fixture.h"

// What a bad plugin may do without ending a process, in the server and in a worker. The rest is in
// worker_test.cpp.
namespace opensend::plugin {
namespace {

using model::ResultClass;
using testing::HasSubstr;

class HostileTest : public HostFixture, public testing::WithParamInterface<const char*> {
protected:
    HostileTest() { config.worker_path = OPENSEND_BINARY_DIR "/bin/opensend-plugin-worker"; }
    bool apart() const { return std::string(GetParam()) == "worker"; }
    model::Transport* StartDoing(const std::string& what, const std::string& kind = "hostile") {
        config.plugins = {
            {"hostile", "", "", false, "{}", GetParam()}
        };
        config.transports = {
            {"t", kind, "", "{\"do\":\"" + what + "\"}"}
        };
        host = std::make_unique<Host>(config, deps);
        return host->FindTransport("t");
    }
    /// Until a counter of the instance reaches `wanted`: late answers come when they come.
    void Await(uint64_t InstanceStatus::*counter, uint64_t wanted) {
        for (int i = 0; i < 400 && Status().*counter < wanted; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        EXPECT_EQ(Status().*counter, wanted);
    }
};

INSTANTIATE_TEST_SUITE_P(
    Everywhere,
    HostileTest,
    testing::Values("inproc", "worker"),
    [](const auto& place) { return std::string(place.param); }
);

TEST_P(HostileTest, ASecondAnswerChangesNothingAndIsCounted) {
    auto* transport = StartDoing("twice");
    EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kOk);
    Await(&InstanceStatus::twice, 1);
    EXPECT_EQ(Status().late + Status().unknown, 0u);
    EXPECT_EQ(Status().state, "running");
}

TEST_P(HostileTest, TheTenthSecondAnswerEndsTheInstanceForGood) {
    auto* transport = StartDoing("twice");
    for (int i = 0; i < 10; ++i) Deliver(*transport);
    EXPECT_THAT(WaitFor("quarantined"), HasSubstr("10 tokens that were not open"));
    EXPECT_EQ(Status().breaker, "open");
    EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kNotTried);
    for (int i = 0; apart() && i < 400 && !Status().worker->pids.empty(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (apart()) {
        EXPECT_TRUE(Status().worker->pids.empty()) << "its process is gone, too";
    }
}

TEST_P(HostileTest, InventedTokensAreRefusedAndCounted) {
    auto* transport = StartDoing("strangers");
    EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kOk);
    Await(&InstanceStatus::unknown, 3);
    EXPECT_EQ(Status().state, "running");
}

TEST_P(HostileTest, AnAnswerAfterTheDeadlineIsLateAndNobodyElses) {
    auto* transport = StartDoing("late");
    EXPECT_EQ(Deliver(*transport, 1, 100)[0][0].result, ResultClass::kOkUnknown);
    Await(&InstanceStatus::late, 1);
    EXPECT_EQ(Status().twice + Status().unknown, 0u);
    EXPECT_EQ(Deliver(*transport, 1, 5000, 2)[0][0].result, ResultClass::kOk);
}

TEST_P(HostileTest, NoAnswerLeavesTheOutcomeUnknown) {
    const auto outcome = Deliver(*StartDoing("silent"))[0][0];
    EXPECT_EQ(outcome.result, ResultClass::kOkUnknown);
    EXPECT_EQ(outcome.diagnostic, "the plugin gave no answer");
}

TEST_P(HostileTest, AClaimOfSuccessIsTakenForTheMessagesItWasGivenOnly) {
    const auto results = Deliver(*StartDoing("claim"), 3);
    for (const auto& result : results) EXPECT_EQ(result[1].result, ResultClass::kOk);
    EXPECT_EQ(Status().twice + Status().unknown, 0u);
}

TEST_P(HostileTest, ABlindCopyReachesNobody) {
    std::vector<std::string> audited;
    deps.audit = [&](std::string_view event, const std::string&, std::string_view what) {
        audited.push_back(std::string(event) + " " + std::string(what));
    };
    const auto outcome = Deliver(*StartDoing("bcc"))[0][0];
    if (apart()) {
        // It wrote into a copy of its own; the server's message and envelope are as they were.
        EXPECT_EQ(outcome.result, ResultClass::kOk);
        EXPECT_EQ(Status().state, "running");
        EXPECT_TRUE(audited.empty());
        return;
    }
    EXPECT_EQ(outcome.result, ResultClass::kProtocol);
    EXPECT_THAT(WaitFor("violation"), HasSubstr("changed the headers"));
    EXPECT_THAT(audited, testing::ElementsAre("plugin.violation headers"));
}

TEST_P(HostileTest, OnlyAProcessOfItsOwnHasNoEnvironment) {
    setenv("OPENSEND_TEST_CANARY", "7f3c", 1);
    const std::string seen = Deliver(*StartDoing("environment"))[0][0].remote_id;
    unsetenv("OPENSEND_TEST_CANARY");
    if (apart()) {
        EXPECT_EQ(seen, "LC_ALL=C.UTF-8;");
    } else {
        EXPECT_THAT(seen, HasSubstr("OPENSEND_TEST_CANARY=7f3c;"));
    }
}

TEST_P(HostileTest, WhatTheGuardOfTheSdkCatchesIsAnAnswer) {
    config.plugins = {
        {"throws", "", "", false, "{}", GetParam()}
    };
    config.transports = {
        {"t", "throws", "", "{}"}
    };
    host = std::make_unique<Host>(config, deps);
    auto* transport = host->FindTransport("t");
    const ResultClass wanted[] = {
        ResultClass::kTemp, ResultClass::kProtocol, ResultClass::kProtocol, ResultClass::kProtocol};
    for (uint32_t attempt = 1; attempt <= 4; ++attempt)
        EXPECT_EQ(Deliver(*transport, 1, 5000, attempt)[0][0].result, wanted[attempt - 1]);
    if (apart()) {
        EXPECT_EQ(Status().worker->deaths, 0u);
    }
}

}  // namespace
}  // namespace opensend::plugin
