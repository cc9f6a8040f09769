#include "kernel/workers/delivery/outcome.h"

#include <chrono>
#include <memory>

#include <gmock/gmock.h>

namespace opensend::delivery {
namespace {

using model::DeliveryOutcome;
using model::EmailStatus;
using model::EventType;
using model::ResultClass;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr base::Time kNow{1'700'000'000'000'000};
constexpr double kNoJitter = 0.5;

DeliveryOutcome Result(ResultClass result, int code = 0, std::string enhanced = {}) {
    DeliveryOutcome out;
    out.result = result;
    out.smtp_code = code;
    out.enhanced_code = std::move(enhanced);
    out.diagnostic = "what the other side said";
    return out;
}

class OutcomeTest : public testing::Test {
protected:
    OutcomeTest() : mail_(std::make_shared<LoadedMail>()), work_(MakeWork()) {}

    std::shared_ptr<ClaimedRecipient> MakeWork() const {
        auto work = std::make_shared<ClaimedRecipient>();
        work->mail = mail_;
        work->address = "a@b.example";
        work->transport = "relay";
        work->row.tries = 0;
        work->row.claims = 2;
        return work;
    }
    Outcome From(const DeliveryOutcome& result) {
        return FromTransport(work_, result, policy_, kNow, kNoJitter);
    }
    static std::vector<EmailStatus> Moves(const Outcome& outcome) {
        std::vector<EmailStatus> moves;
        for (const Step& step : outcome.steps) moves.push_back(step.to);
        return moves;
    }
    /// Each move is legal from the state the recorder starts with.
    static void ExpectLegal(const Outcome& outcome, EmailStatus from = EmailStatus::kSending) {
        for (const Step& step : outcome.steps) {
            EXPECT_TRUE(model::MayMove(from, step.to))
                << model::ToText(from) << " to " << model::ToText(step.to);
            from = step.to;
        }
    }

    std::shared_ptr<LoadedMail> mail_;
    std::shared_ptr<ClaimedRecipient> work_;
    DeliveryPolicy policy_;
};

TEST_F(OutcomeTest, ARelayHasSentAndTheFinalHostHasDelivered) {
    const Outcome relay = From(Result(ResultClass::kOk));
    EXPECT_THAT(Moves(relay), ElementsAre(EmailStatus::kSent));
    EXPECT_EQ(relay.release_reason, std::nullopt);
    EXPECT_TRUE(relay.error_code.empty());
    auto result = Result(ResultClass::kOk);
    result.final_host = true;
    EXPECT_THAT(Moves(From(result)), ElementsAre(EmailStatus::kSent, EmailStatus::kDelivered));
}

TEST_F(OutcomeTest, EveryResultMakesLegalMovesAndEndsOrReleasesTheRow) {
    for (int i = 1; i <= static_cast<int>(ResultClass::kNotTried); ++i) {
        work_ = MakeWork();
        const Outcome outcome = From(Result(static_cast<ResultClass>(i)));
        ExpectLegal(outcome);
        ASSERT_FALSE(outcome.steps.empty()) << i;
        EXPECT_EQ(
            model::IsTerminal(outcome.steps.back().to) ||
                outcome.steps.back().to == EmailStatus::kSent,
            !outcome.release_reason.has_value()
        ) << i;
        ASSERT_TRUE(outcome.attempt.has_value()) << i;
        EXPECT_EQ(outcome.attempt->result, static_cast<ResultClass>(i));
    }
}

TEST_F(OutcomeTest, ATemporaryRefusalClimbsTheLadder) {
    work_->row.tries = 2;
    work_->row.throttles = 3;
    work_->row.uncertain = true;
    const Outcome outcome = From(Result(ResultClass::kTemp, 451, "4.3.0"));
    EXPECT_THAT(Moves(outcome), ElementsAre(EmailStatus::kDeferred));
    EXPECT_EQ(outcome.steps[0].event, EventType::kEmailDeliveryDelayed);
    EXPECT_EQ(work_->row.tries, 3);
    EXPECT_EQ(work_->row.throttles, 0);
    EXPECT_FALSE(work_->row.uncertain);
    EXPECT_EQ(work_->row.phase, queue::Phase::kWaiting);
    EXPECT_EQ(work_->row.due_at, kNow + minutes(5));
    EXPECT_TRUE(outcome.counts_as_retry);
    EXPECT_EQ(outcome.release_reason, "waiting_for_retry");
    EXPECT_EQ(outcome.error_code, "temp");
}

TEST_F(OutcomeTest, AThrottleIsNotCounted) {
    work_->row.tries = 1;
    work_->row.throttles = 2;
    const Outcome outcome = From(Result(ResultClass::kThrottle, 450));
    EXPECT_EQ(work_->row.tries, 1);
    EXPECT_EQ(work_->row.throttles, 3);
    EXPECT_EQ(work_->row.due_at, kNow + seconds(20));
    EXPECT_FALSE(outcome.counts_as_retry);
}

TEST_F(OutcomeTest, ALongerWishOfTheOtherSideIsGrantedAShorterIsNot) {
    auto result = Result(ResultClass::kTemp);
    result.retry_after_ms = 90'000;
    From(result);
    EXPECT_EQ(work_->row.due_at, kNow + seconds(90));
    work_ = MakeWork();
    result.retry_after_ms = 1000;
    From(result);
    EXPECT_EQ(work_->row.due_at, kNow + seconds(15));
}

TEST_F(OutcomeTest, BadConfigurationEndsAfterEightAttempts) {
    work_->row.tries = 6;
    EXPECT_THAT(Moves(From(Result(ResultClass::kAuthConfig))), ElementsAre(EmailStatus::kDeferred));
    ASSERT_EQ(work_->row.tries, 7);
    const Outcome last = From(Result(ResultClass::kAuthConfig));
    EXPECT_THAT(Moves(last), ElementsAre(EmailStatus::kFailed));
    EXPECT_EQ(last.steps[0].reason, "auth_config");
    EXPECT_EQ(last.release_reason, std::nullopt);
    EXPECT_EQ(From(Result(ResultClass::kProtocol)).steps[0].reason, "retries_exhausted");
}

TEST_F(OutcomeTest, OnlyAHardRefusalOfTheMailboxSuppressesIt) {
    for (const char* code : {"5.1.1", "5.1.2", "5.1.6", "5.1.10"}) {
        EXPECT_TRUE(From(Result(ResultClass::kPermRecipient, 550, code)).suppress) << code;
    }
    for (const char* code : {"5.1.3", "5.2.1", "5.1.11", "5.7.1", ""}) {
        EXPECT_FALSE(From(Result(ResultClass::kPermRecipient, 550, code)).suppress) << code;
    }
    EXPECT_FALSE(From(Result(ResultClass::kPermContent, 550, "5.1.1")).suppress);
    EXPECT_THAT(
        Moves(From(Result(ResultClass::kPermContent, 554))), ElementsAre(EmailStatus::kBounced)
    );
}

TEST_F(OutcomeTest, AnUnknownOutcomeWaitsForEvidence) {
    const Outcome outcome = From(Result(ResultClass::kOkUnknown));
    EXPECT_THAT(Moves(outcome), ElementsAre(EmailStatus::kUnknown));
    EXPECT_EQ(work_->row.phase, queue::Phase::kUnknown);
    EXPECT_TRUE(work_->row.uncertain);
    EXPECT_EQ(work_->row.due_at, kNow + policy_.unknown_wait);
    EXPECT_EQ(work_->row.tries, 0);
    EXPECT_EQ(outcome.steps[0].event, std::nullopt);
}

TEST_F(OutcomeTest, NothingTriedIsNothingCounted) {
    const Outcome outcome = From(Result(ResultClass::kNotTried));
    EXPECT_THAT(Moves(outcome), ElementsAre(EmailStatus::kQueued));
    EXPECT_EQ(outcome.release_reason, "ready");
    EXPECT_EQ(work_->row.tries, 0);
    EXPECT_EQ(work_->row.claims, 0);
    EXPECT_FALSE(outcome.counts_as_retry);
}

TEST_F(OutcomeTest, AnAddressTheNextHostCannotWriteFails) {
    auto result = Result(ResultClass::kPermRecipient, 550, "5.6.7");
    result.smtputf8_unsupported = true;
    const Outcome outcome = From(result);
    EXPECT_THAT(Moves(outcome), ElementsAre(EmailStatus::kFailed));
    EXPECT_EQ(outcome.steps[0].reason, "smtputf8_unsupported");
    EXPECT_FALSE(outcome.suppress);
}

TEST_F(OutcomeTest, PoliciesResolveTheUnknown) {
    policy_.unknown = DeliveryPolicy::Unknown::kHold;
    const Outcome held = ResolveUnknown(work_, policy_);
    ExpectLegal(held, EmailStatus::kUnknown);
    EXPECT_THAT(Moves(held), ElementsAre(EmailStatus::kHeld));
    EXPECT_EQ(work_->row.phase, queue::Phase::kHeld);
    EXPECT_EQ(held.release_reason, "unknown_outcome");
    policy_.unknown = DeliveryPolicy::Unknown::kAssumeSent;
    const Outcome sent = ResolveUnknown(MakeWork(), policy_);
    ExpectLegal(sent, EmailStatus::kUnknown);
    EXPECT_THAT(Moves(sent), ElementsAre(EmailStatus::kSent));
    EXPECT_EQ(sent.steps[0].reason, "assumed");
    EXPECT_EQ(sent.release_reason, std::nullopt);
}

TEST_F(OutcomeTest, EndsBeforeATransportLeaveNoAttempt) {
    const Outcome suppressed = Suppressed(work_, "OnAccountSuppressionList", "previous_bounce", "");
    EXPECT_THAT(Moves(suppressed), ElementsAre(EmailStatus::kSuppressed));
    EXPECT_EQ(suppressed.shown_suppression_reason, "previous_bounce");
    const Outcome failed = Failed(work_, "domain_not_verified", "No.");
    EXPECT_THAT(Moves(failed), ElementsAre(EmailStatus::kFailed));
    for (const Outcome* outcome : {&suppressed, &failed}) {
        ExpectLegal(*outcome);
        EXPECT_FALSE(outcome->attempt.has_value());
        EXPECT_EQ(outcome->release_reason, std::nullopt);
    }
}

TEST_F(OutcomeTest, NotNowMovesNothing) {
    const Outcome outcome = NotNow(work_, "no_route", kNow, seconds(30));
    EXPECT_THAT(outcome.steps, IsEmpty());
    EXPECT_EQ(work_->row.due_at, kNow + seconds(30));
    EXPECT_EQ(outcome.release_reason, "no_route");
}

TEST_F(OutcomeTest, SentIsToldOncePerMessageAndTheRestPerRecipient) {
    auto result = Result(ResultClass::kOk);
    result.final_host = true;
    work_->row.ordinal = 1;
    auto other = MakeWork();
    other->row.ordinal = 2;
    const Outcome first = From(result);
    const Outcome second = FromTransport(other, result, policy_, kNow, kNoJitter);
    EXPECT_EQ(first.steps[0].dedupe, second.steps[0].dedupe);
    EXPECT_NE(first.steps[1].dedupe, second.steps[1].dedupe);
}

TEST_F(OutcomeTest, APostponedExpiryIsAFailureForTheWorld) {
    const Outcome outcome = Expired(work_);
    EXPECT_THAT(Moves(outcome), ElementsAre(EmailStatus::kExpired));
    EXPECT_EQ(outcome.steps[0].event, EventType::kEmailFailed);
    // Without a call of a transport it is still waiting when its age is noticed.
    ExpectLegal(outcome, EmailStatus::kQueued);
}

/// A group with another member that has not failed, or without one.
class FailoverTest : public OutcomeTest {
protected:
    Outcome From(ResultClass result, bool has_fresh) {
        work_->row.phase = queue::Phase::kWire;
        return FromTransport(
            work_, Result(result, 450), policy_, kNow, kNoJitter,
            [&](const RouteMemory&) { return has_fresh; }
        );
    }
    bool Avoids(const std::string& transport) const {
        return RouteMemory(work_->row.routes).Avoids(transport);
    }
};

TEST_F(FailoverTest, AThrottledTransportSendsTheMailToAnotherOneAtOnce) {
    const Outcome outcome = From(ResultClass::kThrottle, true);
    EXPECT_EQ(work_->row.due_at, kNow);
    EXPECT_EQ(work_->row.tries, 0);
    EXPECT_TRUE(Avoids("relay"));
    EXPECT_THAT(Moves(outcome), ElementsAre(EmailStatus::kDeferred));
    ExpectLegal(outcome);
}

TEST_F(FailoverTest, WithNobodyElseAThrottledTransportIsWaitedFor) {
    From(ResultClass::kThrottle, false);
    EXPECT_EQ(work_->row.due_at, kNow + seconds(5));
    EXPECT_FALSE(Avoids("relay"));
}

TEST_F(FailoverTest, TheSecondTemporaryFailureInARowMovesOn) {
    From(ResultClass::kTemp, true);
    EXPECT_EQ(work_->row.due_at, kNow + seconds(15));
    EXPECT_FALSE(Avoids("relay"));
    From(ResultClass::kTemp, true);
    EXPECT_EQ(work_->row.due_at, kNow);
    EXPECT_TRUE(Avoids("relay"));
    EXPECT_EQ(work_->row.tries, 2);
}

TEST_F(FailoverTest, AnotherTransportBetweenBreaksTheRow) {
    From(ResultClass::kTemp, true);
    work_->transport = "backup";
    From(ResultClass::kTemp, true);
    work_->transport = "relay";
    From(ResultClass::kTemp, true);
    EXPECT_FALSE(Avoids("relay"));
    EXPECT_FALSE(Avoids("backup"));
}

TEST_F(FailoverTest, ARefusedSenderBouncesOnlyWhenTheLastMemberRefused) {
    const Outcome first = From(ResultClass::kPermReputation, true);
    EXPECT_THAT(Moves(first), ElementsAre(EmailStatus::kDeferred));
    EXPECT_EQ(work_->row.due_at, kNow);
    work_->transport = "backup";
    const Outcome last = From(ResultClass::kPermReputation, false);
    EXPECT_THAT(Moves(last), ElementsAre(EmailStatus::kBounced));
    EXPECT_TRUE(RouteMemory(work_->row.routes).Refused("relay"));
    EXPECT_TRUE(RouteMemory(work_->row.routes).Refused("backup"));
}

TEST_F(FailoverTest, WrongCredentialsAndOddAnswersMoveOnAtOnce) {
    for (const ResultClass result : {ResultClass::kAuthConfig, ResultClass::kProtocol}) {
        work_ = MakeWork();
        From(result, true);
        EXPECT_EQ(work_->row.due_at, kNow);
        EXPECT_EQ(work_->row.tries, 1);
        EXPECT_TRUE(Avoids("relay"));
    }
}

TEST_F(FailoverTest, AnUnknownOutcomeNeverGoesToASecondTransport) {
    const Outcome outcome = From(ResultClass::kOkUnknown, true);
    EXPECT_EQ(work_->row.due_at, kNow + policy_.unknown_wait);
    EXPECT_FALSE(Avoids("relay"));
    EXPECT_THAT(Moves(outcome), ElementsAre(EmailStatus::kUnknown));
}

TEST(RouteMemory, SurvivesTheQueueAndIgnoresWhatItDoesNotKnow) {
    RouteMemory memory;
    memory.Note("a", ResultClass::kTemp);
    memory.Note("b", ResultClass::kPermReputation);
    memory.Note("c", ResultClass::kThrottle);
    const RouteMemory read(memory.ToText());
    EXPECT_EQ(read.ToText(), memory.ToText());
    EXPECT_TRUE(read.Refused("b"));
    EXPECT_TRUE(read.Avoids("c"));
    EXPECT_FALSE(read.Avoids("a"));
    for (const char* odd : {"", " ", "=", "a", "a=x", "=r", "a==b"}) {
        EXPECT_FALSE(RouteMemory(odd).Refused("a")) << odd;
    }
}

}  // namespace
}  // namespace opensend::delivery
