#include <gmock/gmock.h>

#include "tests/unit/plugin/host_fixture.h"

namespace opensend::plugin {
namespace {

using model::AuthDecision;
using model::ResultClass;
using testing::HasSubstr;

class ContainmentTest : public HostFixture {
protected:
    model::Transport* StartMoody(Grants grants = {}) {
        config.plugins.push_back({"moody", "", "", false, "{}", "", grants});
        config.transports.push_back({"t", "", "moody", "{}"});
        config.auth_backends = {"moody_auth"};
        deps.audit = [this](std::string_view event, const std::string& who, std::string_view what) {
            audited.push_back(std::string(event) + " " + who + " " + std::string(what));
        };
        host = std::make_unique<Host>(config, deps);
        return host->FindTransport("t");
    }
    model::AuthResult Ask(std::string credential, int timeout_ms = 2000) {
        model::AuthRequest request;
        request.scheme = "bearer";
        request.credential = base::Secret(std::move(credential));
        request.deadline = clock.Mono() + std::chrono::milliseconds(timeout_ms);
        return host->authenticator().Authenticate(std::move(request));
    }
    std::vector<std::string> audited;
};

TEST_F(ContainmentTest, TenInventedTokensEndAnInstance) {
    auto* transport = Start("bad_stranger");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kOk);
    EXPECT_EQ(Status().state, "running");
    EXPECT_EQ(Status().unknown, 9u);
    Deliver(*transport);
    EXPECT_THAT(WaitFor("quarantined"), HasSubstr("completed 10 tokens that were not open"));
    EXPECT_EQ(Status().breaker, "open");
    EXPECT_EQ(host->FindTransport("t"), transport) << "it is there, with an open breaker";
    EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kNotTried);
}

TEST_F(ContainmentTest, TenSecondCompletionsEndAnInstanceAndChangeNothing) {
    auto* transport = Start("bad_twice");
    const auto results = Deliver(*transport, 9);
    for (const auto& result : results) EXPECT_EQ(result[0].result, ResultClass::kOk);
    Deliver(*transport, 1);
    WaitFor("quarantined");
    EXPECT_GE(Status().twice, 10u);
    EXPECT_EQ(Status().late, 0u);
}

TEST_F(ContainmentTest, BeingLateIsNoReasonToEndAnInstance) {
    auto* transport = Start("bad_late");
    Deliver(*transport, 1, 50);
    for (int i = 0; i < 200 && Status().late == 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(Status().late, 1u);
    EXPECT_EQ(Status().twice + Status().unknown, 0u);
    EXPECT_EQ(Status().state, "running");
}

TEST_F(ContainmentTest, ALostThreadIsReplacedAndThreeAreTooMany) {
    ASSERT_NE(StartMoody(), nullptr);
    EXPECT_EQ(Say("hang", 50).result, ResultClass::kOkUnknown);
    EXPECT_EQ(Status().lost, 1u);
    const auto before = clock.Mono();
    EXPECT_EQ(Say("ok").result, ResultClass::kOk) << "its only thread is busy";
    EXPECT_LT(clock.Mono() - before, std::chrono::milliseconds(600));
    Say("hang", 50);
    EXPECT_EQ(Status().state, "running");
    Say("hang", 50);
    EXPECT_THAT(WaitFor("quarantined"), HasSubstr("3 calls did not come back"));
    EXPECT_EQ(Say("ok").result, ResultClass::kNotTried);
}

TEST_F(ContainmentTest, WhatIsChangedIsNoticedAndEndsTheInstance) {
    for (const std::string part : {"headers", "body", "envelope"}) {
        config = {};
        config.dir = OPENSEND_BINARY_DIR "/plugins_bad";
        audited.clear();
        ASSERT_NE(StartMoody(), nullptr);
        const auto outcome = Say(part);
        EXPECT_EQ(outcome.result, ResultClass::kProtocol);
        EXPECT_EQ(outcome.diagnostic, "the plugin changed the message");
        EXPECT_THAT(WaitFor("violation"), HasSubstr("changed the " + part));
        EXPECT_EQ(Status().breaker, "open");
        EXPECT_EQ(Status().violations, 1u);
        EXPECT_EQ(Say("ok").result, ResultClass::kNotTried);
        EXPECT_THAT(audited, testing::ElementsAre("plugin.violation transport.t " + part));
    }
}

TEST_F(ContainmentTest, AGrantedChangeIsNone) {
    Grants grants;
    grants.changes = {"headers"};
    ASSERT_NE(StartMoody(grants), nullptr);
    EXPECT_EQ(Say("headers").result, ResultClass::kOk);
    EXPECT_EQ(Say("body").result, ResultClass::kProtocol);
}

TEST_F(ContainmentTest, AChangedCredentialLetsNobodyIn) {
    StartMoody();
    EXPECT_EQ(Ask("change").decision, AuthDecision::kUnavailable);
    WaitFor("violation", "moody/moody_auth");
    EXPECT_EQ(Ask("fine").decision, AuthDecision::kUnavailable);
    EXPECT_EQ(Say("ok").result, ResultClass::kOk) << "the other instance of the plugin goes on";
}

TEST_F(ContainmentTest, ABackendThatBlocksGetsThreadsOfItsOwn) {
    StartMoody();
    EXPECT_EQ(Ask("fine").decision, AuthDecision::kAllow);
    EXPECT_EQ(Status("moody/moody_auth").slow, 0u);
    EXPECT_EQ(Ask("slow").decision, AuthDecision::kAllow);
    EXPECT_GE(Status("moody/moody_auth").slow, 1u);
    const auto before = clock.Mono();
    EXPECT_EQ(Ask("slow", 30).decision, AuthDecision::kUnavailable);
    EXPECT_LT(clock.Mono() - before, std::chrono::milliseconds(140)) << "the caller is free again";
    EXPECT_EQ(Ask("fine").decision, AuthDecision::kAllow);
}

TEST_F(ContainmentTest, FiveFailuresOpenTheBreakerOfABackend) {
    StartMoody();
    for (int i = 0; i < 5; ++i) EXPECT_EQ(Ask("down").decision, AuthDecision::kUnavailable);
    EXPECT_EQ(Status("moody/moody_auth").breaker, "open");
    EXPECT_EQ(Ask("fine").decision, AuthDecision::kUnavailable);
    EXPECT_EQ(Status("moody/moody_auth").calls, 5u);
}

TEST_F(ContainmentTest, TheStatusOfAnInstanceIsComplete) {
    Grants grants;
    grants.timers = true;
    StartMoody(grants);
    Say("ok");
    // The answer comes from inside the call; its time is known when it returns.
    for (int i = 0; i < 200 && Status().timed == 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const auto status = Status();
    EXPECT_EQ(status.plugin, "moody");
    EXPECT_EQ(status.version, "1");
    EXPECT_EQ(status.isolation, "inproc");
    EXPECT_EQ(status.kind, "opensend.transport/1:moody");
    EXPECT_THAT(status.grants, testing::ElementsAre("timers"));
    EXPECT_EQ(status.calls, 1u);
    EXPECT_EQ(status.timed, 1u);
    uint64_t sum = 0;
    for (const auto& bucket : status.latency) sum += bucket.second;
    EXPECT_EQ(sum, 1u);
    host->PublishMetrics();
}

}  // namespace
}  // namespace opensend::plugin
