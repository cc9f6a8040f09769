#include "plugins/smtp/client_session.h"

#include <algorithm>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/smtp_dialogue.h"

namespace opensend::smtp_plugin {
namespace {

/// A ready pipelining session with messages at hand.
class ReadySession : public testing::Test {
protected:
    void Open(const char* ehlo = kEhloAll) {
        Say("220 mx\r\n");
        EXPECT_EQ(Take(), "EHLO localhost|");
        Say(ehlo);
        ASSERT_EQ(session_.want(), Want::kIdle);
    }
    Transaction& Message(const char* to = "r@y.example") {
        Transaction& message = messages_.emplace_back();
        message.mail_from = "s@x.example";
        message.rcpts.push_back(to);
        message.data = kBody;
        message.Rewind();
        return message;
    }
    std::string Take() {
        std::string out = Bars(session_.pending());
        session_.Wrote(session_.pending().size());
        return out;
    }
    void Say(std::string_view text) { session_.OnBytes(text); }

    std::deque<Transaction> messages_;
    ClientSession session_{SessionOptions{}};
};

TEST_F(ReadySession, TheNextEnvelopeTravelsWithTheBody) {
    Open();
    Transaction& first = Message();
    Transaction& second = Message();
    session_.Begin(first);
    session_.Follow(second);
    EXPECT_EQ(Take(), kEnvelope);
    Say("250 m\r\n250 r\r\n354 go\r\n");
    EXPECT_EQ(Take(), std::string(kSent) + kEnvelope);
    Say("250 done\r\n250 m\r\n550 no\r\n554 none\r\n");
    EXPECT_EQ(Letters(first), "A");
    EXPECT_EQ(Letters(second), "R");
    EXPECT_EQ(session_.want(), Want::kIdle);
}

TEST_F(ReadySession, WhatMustNotTravelInClearWaitsOnAPlainConnection) {
    Open();
    Transaction& message = Message();
    message.needs_tls = true;
    session_.Begin(message);
    EXPECT_TRUE(message.finished);
    EXPECT_EQ(Letters(message), "D");
    EXPECT_EQ(message.verdicts[0].stage, Stage::kTls);
    EXPECT_EQ(Take(), "");
    EXPECT_EQ(session_.want(), Want::kIdle);
}

TEST_F(ReadySession, AFollowerNamedAfterTheBodyIsIssuedAtOnce) {
    Open();
    Transaction& first = Message();
    Transaction& second = Message();
    session_.Begin(first);
    Take();
    Say("250 m\r\n250 r\r\n354 go\r\n");
    session_.Follow(second);
    EXPECT_EQ(Take(), std::string(kSent) + kEnvelope);
    Say("250 done\r\n");
    EXPECT_TRUE(first.finished);
    EXPECT_EQ(session_.current(), &second);
}

TEST_F(ReadySession, SilenceLeavesTheFollowerUndecided) {
    Open();
    Transaction& first = Message();
    Transaction& second = Message();
    session_.Begin(first);
    session_.Follow(second);
    Take();
    Say("250 m\r\n250 r\r\n354 go\r\n");
    Take();
    session_.OnClosed("gone");
    EXPECT_EQ(Letters(first), "I");
    EXPECT_FALSE(second.finished);
    EXPECT_EQ(Letters(second), "-");
}

TEST_F(ReadySession, RsetStandsBetweenAFailedTransactionAndTheNext) {
    Open();
    Transaction& first = Message();
    Transaction& second = Message();
    session_.Begin(first);
    session_.Follow(second);
    EXPECT_EQ(Take(), kEnvelope);
    Say("250 m\r\n550 no\r\n554 none\r\n");
    EXPECT_EQ(Letters(first), "R");
    EXPECT_EQ(Take(), std::string("RSET|") + kEnvelope);
    Say("250 reset\r\n250 m\r\n250 r\r\n354 go\r\n");
    EXPECT_EQ(Take(), kSent);
    Say("250 done\r\n");
    EXPECT_EQ(Letters(second), "A");
}

TEST_F(ReadySession, RsetWaitsItsTurnWithoutPipelining) {
    Open(kEhloPlain);
    Transaction& first = Message();
    Transaction& second = Message();
    session_.Begin(first);
    Take();
    Say("550 no\r\n");
    EXPECT_EQ(Letters(first), "R");
    session_.Begin(second);
    EXPECT_EQ(Take(), "RSET|");
    Say("250 ok\r\n");
    EXPECT_EQ(Take(), "MAIL FROM:<s@x.example>|");
}

TEST_F(ReadySession, ARefusedRsetEndsTheConnectionButNotTheMessage) {
    Open();
    Transaction& first = Message();
    Transaction& second = Message();
    session_.Begin(first);
    Take();
    Say("250 m\r\n550 no\r\n554 none\r\n");
    session_.Begin(second);
    Take();
    Say("500 what\r\n");
    EXPECT_EQ(session_.want(), Want::kClosed);
    EXPECT_TRUE(second.untouched);
}

TEST_F(ReadySession, ADeathBeforeTheDotIsOutIsNoDoubt) {
    Open();
    Transaction& message = Message();
    session_.Begin(message);
    Take();
    Say("250 m\r\n250 r\r\n354 go\r\n");
    session_.Wrote(session_.pending().size() - 2);
    session_.OnClosed("gone");
    EXPECT_EQ(Letters(message), "D");
    EXPECT_EQ(message.verdicts[0].stage, Stage::kData);
    EXPECT_FALSE(message.untouched);
}

TEST_F(ReadySession, ADeathWithOneOctetMissingIsDoubt) {
    Open();
    Transaction& message = Message();
    session_.Begin(message);
    Take();
    Say("250 m\r\n250 r\r\n354 go\r\n");
    session_.Wrote(session_.pending().size() - 1);
    session_.OnClosed("gone");
    EXPECT_EQ(Letters(message), "I");
}

TEST_F(ReadySession, ARefusalDuringTheBodyIsAVerdict) {
    Open();
    Transaction& message = Message();
    session_.Begin(message);
    Take();
    Say("250 m\r\n250 r\r\n354 go\r\n");
    session_.Wrote(5);
    Say("552 5.3.4 too big\r\n");
    EXPECT_EQ(Letters(message), "R");
    EXPECT_EQ(session_.want(), Want::kClosed);
}

TEST_F(ReadySession, AWelcomeDuringTheBodyIsNotBelieved) {
    Open();
    Transaction& message = Message();
    session_.Begin(message);
    Take();
    Say("250 m\r\n250 r\r\n354 go\r\n");
    session_.Wrote(5);
    Say("250 thanks\r\n");
    EXPECT_EQ(Letters(message), "D");
    EXPECT_EQ(message.verdicts[0].hint, Hint::kProtocol);
}

TEST_F(ReadySession, AnswersThatComeBeforeTheirCommandAreRefused) {
    Open();
    Transaction& message = Message();
    session_.Begin(message);
    session_.Wrote(3);
    Say("250 m\r\n");
    EXPECT_EQ(session_.want(), Want::kClosed);
    EXPECT_EQ(message.verdicts[0].hint, Hint::kProtocol);
}

TEST_F(ReadySession, AnIdleServerThatSpeaksIsLeft) {
    Open();
    Say("421 idle\r\n");
    EXPECT_EQ(session_.want(), Want::kClosed);
}

TEST_F(ReadySession, AnIdle421SeenAtTheNextMessageLeavesItUntouched) {
    Open();
    Transaction& message = Message();
    session_.Begin(message);
    Say("421 4.4.2 idle too long\r\n");
    EXPECT_TRUE(message.untouched);
}

TEST_F(ReadySession, NothingAnsweredMeansUntouched) {
    Open();
    Transaction& message = Message();
    session_.Begin(message);
    Take();
    session_.OnClosed("gone");
    EXPECT_TRUE(message.untouched);
    EXPECT_EQ(Letters(message), "D");
}

TEST_F(ReadySession, CancelWorksUntilTheBodyIsOut) {
    Open();
    Transaction& early = Message();
    session_.Begin(early);
    Take();
    EXPECT_TRUE(session_.Cancel());
    EXPECT_EQ(Letters(early), "C");
}

TEST_F(ReadySession, CancelAfterTheBodyIsRefused) {
    Open();
    Transaction& message = Message();
    session_.Begin(message);
    Take();
    Say("250 m\r\n250 r\r\n354 go\r\n");
    Take();
    EXPECT_FALSE(session_.Cancel());
    Say("250 done\r\n");
    EXPECT_EQ(Letters(message), "A");
}

TEST_F(ReadySession, QuitEndsTheSession) {
    Open();
    session_.Quit();
    EXPECT_EQ(Take(), "QUIT|");
    Say("221 bye\r\n");
    EXPECT_EQ(session_.want(), Want::kClosed);
}

TEST_F(ReadySession, TheTranscriptHasSizesInsteadOfContent) {
    Open();
    Transaction& message = Message();
    session_.Begin(message);
    Take();
    Say("250 m\r\n250 r\r\n354 go\r\n");
    Take();
    Say("250 \x1B[31mred\r\n");
    EXPECT_EQ(message.transcript.find("hello"), std::string::npos);
    EXPECT_NE(message.transcript.find("message of 21 octets"), std::string::npos);
    EXPECT_NE(message.transcript.find("\\x1b[31mred"), std::string::npos);
}

}  // namespace
}  // namespace opensend::smtp_plugin
