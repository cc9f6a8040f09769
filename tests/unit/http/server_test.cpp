#include "kernel/http/server.h"

#include <ctime>

#include <gmock/gmock.h>

#include "tests/unit/http/server_fixture.h"

namespace opensend::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
    Start();
    RawClient client(port());
    for (int i = 0; i < 3; ++i) {
        client.Send(PostOf("/a", "xyz"));
        const std::string answer = client.ReadAnswer();
        EXPECT_EQ(StatusOf(answer), 200);
        EXPECT_EQ(BodyOf(answer), "POST /a [xyz]");
        EXPECT_THAT(answer, HasSubstr("\r\nContent-Length: 13\r\n"));
        EXPECT_THAT(answer, HasSubstr("\r\nDate: "));
        EXPECT_THAT(answer, Not(HasSubstr("Server")));
        EXPECT_THAT(answer, Not(HasSubstr("Connection")));
    }
    EXPECT_EQ(server_->counters().requests, 3U);
    EXPECT_EQ(server_->counters().accepted, 1U);
}

TEST_F(ServerTest, InlineHandlersAnswerToo) {
    Start({.inline_handlers = true});
    RawClient client(port());
    client.Send(GetOf("/1") + GetOf("/drop") + GetOf("/throw") + GetOf("/2"));
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "GET /1 []");
    EXPECT_EQ(StatusOf(client.ReadAnswer()), 500);
    EXPECT_EQ(StatusOf(client.ReadAnswer()), 500);
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "GET /2 []");
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
    Start();
    RawClient client(port());
    client.Send(PostOf("/1", "a") + GetOf("/2") + PostOf("/3", "c"));
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "POST /1 [a]");
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "GET /2 []");
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "POST /3 [c]");
}

TEST_F(ServerTest, PipelinedRequestsSplitAnywhereAreAnsweredInOrder) {
    Start();
    const std::string input = PostOf("/1", "a") + GetOf("/2") + PostOf("/3", "c");
    RawClient client(port());
    for (size_t cut = 1; cut < input.size(); ++cut) {
        client.Send(input.substr(0, cut));
        client.Send(input.substr(cut));
        ASSERT_EQ(BodyOf(client.ReadAnswer()), "POST /1 [a]") << cut;
        ASSERT_EQ(BodyOf(client.ReadAnswer()), "GET /2 []") << cut;
        ASSERT_EQ(BodyOf(client.ReadAnswer()), "POST /3 [c]") << cut;
    }
}

TEST_F(ServerTest, ManyPipelinedRequestsWaitInTheKernel) {
    Start();
    RawClient client(port());
    std::string input;
    for (int i = 0; i < 2'000; ++i) input += GetOf("/x");
    client.Send(input);
    for (int i = 0; i < 2'000; ++i) ASSERT_EQ(StatusOf(client.ReadAnswer()), 200) << i;
}

TEST_F(ServerTest, AnUnreadBodyIsNoRequest) {
    Start();
    RawClient client(port());
    client.Send(PostOf("/drop", GetOf("/smuggled", "X-Smuggled: yes\r\n")) + GetOf("/next"));
    EXPECT_EQ(StatusOf(client.ReadAnswer()), 500);
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "GET /next []");
    EXPECT_THAT(handled(), ElementsAre("/drop", "/next"));
}

TEST_F(ServerTest, TrailersDoNotDisturbTheNextRequest) {
    Start();
    RawClient client(port());
    client.Send(
        "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n0\r\nX: 1\r\nY: 2\r\n\r\n" +
        GetOf("/next")
    );
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "POST /c [abc]");
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "GET /next []");
}

TEST_F(ServerTest, DoubtfulFramingIsRefusedAndClosed) {
    Start();
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\n";
    const std::string tail = GetOf("/smuggled");
    for (const auto& input : std::vector<std::string>{
             head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + tail,
             head + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc" + tail,
             head + "Content-Length: +3\r\n\r\nabc" + tail,
             head + "Content-Length : 3\r\n\r\nabc" + tail,
             head + "Transfer-Encoding: xchunked\r\n\r\n" + tail,
             head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n" + tail,
             head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + tail,
             head + "X\r\n\r\n" + tail, head + "X: a\r\n b\r\n\r\n" + tail,
             head + std::string("X: \0\r\n\r\n", 8) + tail, head + "X: a\n\r\n" + tail,
             "GET / HTTP/9.9\r\nHost: a\r\n\r\n" + tail, "GET / HTTP/1.1\r\n\r\n" + tail,
             "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" + tail}) {
        const std::string answer = UntilClosed(input);
        EXPECT_EQ(StatusOf(answer), 400) << input;
        EXPECT_EQ(BodyOf(answer), "bad_request") << input;
        EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
    }
    EXPECT_TRUE(handled().empty());
}

TEST_F(ServerTest, HeadHasTheLengthButNoBody) {
    Start();
    RawClient client(port());
    client.Send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n" + GetOf("/b"));
    EXPECT_THAT(client.ReadAnswer(true), HasSubstr("Content-Length: 10\r\n"));
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "GET /b []");
}

TEST_F(ServerTest, OldClientsAreClosedUnlessTheyAskToStay) {
    Start();
    EXPECT_THAT(UntilClosed("GET /a HTTP/1.0\r\n\r\n"), HasSubstr("Connection: close\r\n"));
    RawClient client(port());
    client.Send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_THAT(client.ReadAnswer(), HasSubstr("Connection: keep-alive\r\n"));
    client.Send("GET /a HTTP/1.0\r\n\r\n");
    EXPECT_THAT(client.ReadAll(), HasSubstr("GET /a []"));
}

TEST_F(ServerTest, EitherSideMayAskToClose) {
    Start();
    EXPECT_THAT(UntilClosed(GetOf("/a", "Connection: close\r\n")), HasSubstr("GET /a []"));
    EXPECT_THAT(UntilClosed(GetOf("/close")), HasSubstr("Connection: close\r\n"));
}

TEST_F(ServerTest, ContinueIsSentOnlyAfterTheHeadIsAccepted) {
    Start();
    const std::string fields = "Expect: 100-continue\r\nContent-Length: ";
    RawClient client(port());
    client.Send("POST /a HTTP/1.1\r\nHost: a\r\n" + fields + "3\r\n\r\n");
    EXPECT_EQ(client.ReadAnswer(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.Send("abc");
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "POST /a [abc]");
    const auto refused =
        UntilClosed("POST /refused HTTP/1.1\r\nHost: a\r\n" + fields + "3\r\n\r\n");
    EXPECT_EQ(StatusOf(refused), 403);
    EXPECT_THAT(refused, Not(HasSubstr("100 Continue")));
    const auto large = UntilClosed("POST /a HTTP/1.1\r\nHost: a\r\n" + fields + "100001\r\n\r\n");
    EXPECT_EQ(StatusOf(large), 413);
    EXPECT_THAT(large, Not(HasSubstr("100 Continue")));
    EXPECT_EQ(StatusOf(Once("POST /a HTTP/1.0\r\n" + fields + "1\r\n\r\nx")), 200);
}

TEST_F(ServerTest, ARefusalWithoutBodyKeepsTheConnection) {
    Start();
    RawClient client(port());
    client.Send(GetOf("/refused") + GetOf("/refused") + GetOf("/a"));
    EXPECT_EQ(StatusOf(client.ReadAnswer()), 403);
    EXPECT_EQ(StatusOf(client.ReadAnswer()), 403);
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "GET /a []");
}

TEST_F(ServerTest, AHalfSentRequestIsNotHandled) {
    Start();
    RawClient client(port());
    client.Send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    client.EndSending();
    EXPECT_EQ(client.ReadAll(), "");
    EXPECT_TRUE(handled().empty());
}

TEST_F(ServerTest, AClientThatEndsAfterItsRequestIsAnswered) {
    Start();
    RawClient client(port());
    client.Send(GetOf("/hold"));
    client.EndSending();
    ASSERT_TRUE(WaitFor([&] { return held() == 1; }));
    TakeHeld().front()(Text(200, "late"));
    EXPECT_THAT(client.ReadAll(), HasSubstr("late"));
}

TEST_F(ServerTest, LargeAnswersSurviveSlowReaders) {
    Start();
    RawClient client(port());
    client.Send(GetOf("/big") + GetOf("/after"));
    EXPECT_EQ(BodyOf(client.ReadAnswer()), std::string(4 << 20, 'b'));
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "GET /after []");
}

TEST_F(ServerTest, DroppedAndThrownAnswersAre500) {
    Start();
    RawClient client(port());
    client.Send(GetOf("/drop"));
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "internal_server_error");
    client.Send(GetOf("/throw"));
    EXPECT_EQ(StatusOf(client.ReadAnswer()), 500);
    client.Send(GetOf("/a"));
    EXPECT_EQ(StatusOf(client.ReadAnswer()), 200);
}

TEST_F(ServerTest, OnlyTheFirstAnswerCounts) {
    Start();
    RawClient client(port());
    client.Send(GetOf("/hold"));
    ASSERT_TRUE(WaitFor([&] { return held() == 1; }));
    auto replies = TakeHeld();
    replies[0](Text(200, "first"));
    replies[0](Text(200, "second"));
    client.Send(GetOf("/a"));
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "first");
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "GET /a []");
}

TEST_F(ServerTest, AnswersToTheDeadAreHarmless) {
    Start();
    {
        RawClient client(port());
        client.Send(GetOf("/hold"));
        ASSERT_TRUE(WaitFor([&] { return held() == 1; }));
        const linger reset{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    ASSERT_TRUE(WaitFor([&] { return server_->counters().open == 0; }));
    TakeHeld().front()(Text(200, "x"));
    ASSERT_TRUE(WaitFor([&] { return server_->counters().late_replies == 1; }));
    RawClient client(port());
    client.Send(GetOf("/hold"));
    ASSERT_TRUE(WaitFor([&] { return held() == 1; }));
    server_.reset();
    TakeHeld().front()(Text(200, "x"));
}

TEST_F(ServerTest, DrainFinishesWhatIsUnderWay) {
    Start();
    RawClient idle(port()), busy(port());
    idle.Send(GetOf("/a"));
    EXPECT_EQ(StatusOf(idle.ReadAnswer()), 200);
    busy.Send(GetOf("/hold"));
    ASSERT_TRUE(WaitFor([&] { return held() == 1; }));
    std::thread stop([&] { server_->Stop(std::chrono::seconds(10)); });
    EXPECT_EQ(idle.ReadAll(), "");
    EXPECT_TRUE(WaitFor([&] { return !RawClient(port()).connected(); }));
    TakeHeld().front()(Text(200, "done"));
    const std::string answer = busy.ReadAll();
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
    EXPECT_EQ(BodyOf(answer), "done");
    stop.join();
}

TEST_F(ServerTest, TheGraceOfADrainEnds) {
    Start();
    RawClient busy(port());
    busy.Send(GetOf("/hold"));
    ASSERT_TRUE(WaitFor([&] { return held() == 1; }));
    server_->Stop(std::chrono::milliseconds(50));
    EXPECT_EQ(busy.ReadAll(), "");
}

TEST_F(ServerTest, WaitingCostsNoTime) {
    Start();
    RawClient busy(port());
    busy.Send(GetOf("/a") + GetOf("/hold"));
    EXPECT_EQ(StatusOf(busy.ReadAnswer()), 200);
    ASSERT_TRUE(WaitFor([&] { return held() == 1; }));
    busy.Send(GetOf("/ahead"));
    std::thread stop([&] { server_->Stop(std::chrono::milliseconds(700)); });
    const std::clock_t before = std::clock();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC / 4);
    stop.join();
}

TEST_F(ServerTest, AUsedPortIsReported) {
    Start();
    try {
        Server second({.port = port()}, nullptr, nullptr, nullptr);
        FAIL() << "two servers on one port";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::ErrorCode::kUnavailable);
    }
}

}  // namespace
}  // namespace opensend::http
