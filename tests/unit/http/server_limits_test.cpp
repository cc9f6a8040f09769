#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstring>
#include <deque>
#include <fstream>
#include <vector>

#include <gmock/gmock.h>

#include "tests/unit/http/server_fixture.h"

namespace opensend::http {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

size_t ResidentKib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("VmRSS:", 0) == 0) return std::strtoul(line.c_str() + 6, nullptr, 10);
    }
    return 0;
}

TEST_F(ServerTest, BodiesAreHeldToTheByte) {
    Start();
    EXPECT_EQ(StatusOf(Once(PostOf("/a", std::string(kMaxBody, 'x')))), 200);
    EXPECT_EQ(StatusOf(UntilClosed(PostOf("/a", std::string(kMaxBody + 1, 'x')))), 413);
    const auto chunked = [](size_t size) {
        std::string input = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (; size > 0; --size) input += "1\r\nx\r\n";
        return input + "0\r\n\r\n";
    };
    EXPECT_EQ(StatusOf(Once(chunked(kMaxBody))), 200);
    EXPECT_EQ(StatusOf(UntilClosed(chunked(kMaxBody + 1))), 413);
}

TEST_F(ServerTest, AClientThatSendsFarTooMuchStillReadsItsAnswer) {
    Start();
    const std::string huge(32 * 1024 * 1024, 'x');
    EXPECT_EQ(StatusOf(UntilClosed(PostOf("/a", huge))), 413);
}

TEST_F(ServerTest, HeadsAreHeldToTheByte) {
    Start();
    const std::string line(8192 - std::string_view("GET / HTTP/1.1").size(), 'a');
    EXPECT_EQ(StatusOf(Once(GetOf("/" + line))), 200);
    EXPECT_EQ(StatusOf(UntilClosed(GetOf("/a" + line))), 414);
    const size_t fixed = GetOf("/", "X: \r\n").size();
    const auto head = [&](size_t size) {
        return GetOf("/", base::Cat("X: ", std::string(size - fixed, 'x'), "\r\n"));
    };
    EXPECT_EQ(StatusOf(Once(head(32768))), 200);
    EXPECT_EQ(StatusOf(UntilClosed(head(32769))), 431);
}

TEST_F(ServerTest, SlowHeadsTimeOut) {
    Start({.head_timeout = milliseconds(150)});
    std::deque<RawClient> slow;
    for (int i = 0; i < 50; ++i) slow.emplace_back(port()).Send("GET / HT");
    EXPECT_EQ(StatusOf(Once(GetOf("/a"))), 200);
    for (auto& client : slow) {
        client.Send("T");
        EXPECT_EQ(StatusOf(client.ReadAll()), 408);
    }
}

TEST_F(ServerTest, ADripDoesNotProlongAHead) {
    Start({.head_timeout = milliseconds(300)});
    RawClient client(port());
    client.Send("GET / HTTP/1.1\r\nX: ");
    EXPECT_TRUE(WaitFor([&] { return !client.Send("x"); }));
}

TEST_F(ServerTest, SilentBodiesTimeOut) {
    Start({.body_idle_timeout = milliseconds(150)});
    const std::string answer =
        UntilClosed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    EXPECT_EQ(StatusOf(answer), 408);
    EXPECT_EQ(BodyOf(answer), "request_timeout");
}

TEST_F(ServerTest, DrippingBodiesTimeOutInAll) {
    Start({.body_idle_timeout = milliseconds(5'000), .body_total_timeout = milliseconds(300)});
    RawClient client(port());
    client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n");
    EXPECT_TRUE(WaitFor([&] { return !client.Send("x"); }));
}

TEST_F(ServerTest, IdleConnectionsAreClosedWithoutAWord) {
    Start({.keep_alive_timeout = milliseconds(150)});
    EXPECT_EQ(UntilClosed(""), "");
    RawClient client(port());
    client.Send(GetOf("/a"));
    EXPECT_EQ(StatusOf(client.ReadAnswer()), 200);
    EXPECT_EQ(client.ReadAll(), "");
}

TEST_F(ServerTest, SlowHandlersAre503AndTheirAnswerIsIgnored) {
    Start({.handler_timeout = milliseconds(150)});
    const std::string answer = UntilClosed(GetOf("/hold"));
    EXPECT_EQ(StatusOf(answer), 503);
    EXPECT_THAT(answer, HasSubstr("Retry-After: "));
    TakeHeld().front()(Text(200, "late"));
    EXPECT_TRUE(WaitFor([&] { return server_->counters().late_replies == 1; }));
}

TEST_F(ServerTest, IdleConnectionsTakeNoHandler) {
    Start({.handler_threads = 1});
    std::deque<RawClient> idle;
    for (int i = 0; i < 100; ++i) {
        auto& client = idle.emplace_back(port());
        client.Send(GetOf("/a"));
        ASSERT_EQ(StatusOf(client.ReadAnswer()), 200);
    }
    EXPECT_EQ(StatusOf(Once(GetOf("/a"))), 200);
    for (auto& client : idle) client.Send(GetOf("/a"));
    for (auto& client : idle) EXPECT_EQ(StatusOf(client.ReadAnswer()), 200);
}

TEST_F(ServerTest, AFullQueueIs503AndTheConnectionStays) {
    base::Guarded<bool> open(false);
    Server server(
        {.reactors = 1, .handler_threads = 1, .max_queued_requests = 1}, nullptr,
        [&](Request&&, const Reply& reply) {
            WaitFor([&] { return open.With([](bool value) { return value; }); });
            reply(Text(200, "ok"));
        },
        [](int status, std::string_view code, std::string_view) {
            return Text(status, std::string(code));
        }
    );
    std::deque<RawClient> clients;
    for (int i = 0; i < 10; ++i) clients.emplace_back(server.port()).Send(GetOf("/"));
    ASSERT_TRUE(WaitFor([&] { return server.counters().requests == 10; }));
    open.With([](bool& value) { value = true; });
    std::vector<RawClient*> refused;
    for (auto& client : clients) {
        const std::string answer = client.ReadAnswer();
        if (StatusOf(answer) != 503) continue;
        refused.push_back(&client);
        EXPECT_EQ(BodyOf(answer), "queue_full");
    }
    EXPECT_GE(refused.size(), 8u);
    // Everything that was admitted has been answered: the queue has room.
    for (RawClient* client : refused) {
        client->Send(GetOf("/"));
        EXPECT_EQ(StatusOf(client->ReadAnswer()), 200);
    }
}

TEST_F(ServerTest, ConnectionsBeyondACapAreClosedAtOnce) {
    Start({.max_connections = 3});
    std::deque<RawClient> clients;
    for (int i = 0; i < 3; ++i) {
        clients.emplace_back(port()).Send(GetOf("/a"));
        ASSERT_EQ(StatusOf(clients.back().ReadAnswer()), 200);
    }
    EXPECT_EQ(UntilClosed(""), "");
    EXPECT_EQ(server_->counters().refused, 1U);
    clients.pop_back();
    ASSERT_TRUE(WaitFor([&] { return server_->counters().open == 2; }));
    EXPECT_EQ(StatusOf(Once(GetOf("/a"))), 200);
}

TEST_F(ServerTest, TheCapPerAddressSparesTrustedProxies) {
    Start({.max_connections_per_address = 1});
    RawClient first(port());
    first.Send(GetOf("/a"));
    ASSERT_EQ(StatusOf(first.ReadAnswer()), 200);
    EXPECT_EQ(UntilClosed(""), "");
    server_.reset();
    Start({.max_connections_per_address = 1, .uncapped_peers = {*base::ParseCidr("127.0.0.0/8")}});
    RawClient proxy(port());
    proxy.Send(GetOf("/a"));
    ASSERT_EQ(StatusOf(proxy.ReadAnswer()), 200);
    EXPECT_EQ(StatusOf(Once(GetOf("/a"))), 200);
}

TEST_F(ServerTest, TwoThousandIdleConnectionsCostLittle) {
    Start({.max_connections_per_address = 0});
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    std::deque<RawClient> clients;
    const auto open = [&](size_t count) {
        while (clients.size() < count) {
            clients.emplace_back(port()).Send(PostOf("/a", std::string(1000, 'x')));
            ASSERT_EQ(StatusOf(clients.back().ReadAnswer()), 200);
        }
    };
    open(200);
    const size_t before = ResidentKib();
    open(2'000);
    EXPECT_EQ(server_->counters().open, 2'000U);
    RecordProperty("kib_for_1800", static_cast<int>(ResidentKib() - before));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_LT(ResidentKib() - before, 1'800U * 4);
#endif
    EXPECT_EQ(StatusOf(Once(GetOf("/a"))), 200);
}

TEST_F(ServerTest, WithoutDescriptorsItRefusesAndRests) {
    const pid_t child = ::fork();
    if (child == 0) {
        Start({.reactors = 1});
        rlimit files{.rlim_cur = 64, .rlim_max = 64};
        if (::setrlimit(RLIMIT_NOFILE, &files) != 0) ::_exit(10);
        RawClient refused(port());
        // The connection above may be accepted before the table is full; the next one is not.
        refused.Send(GetOf("/a"));
        if (StatusOf(refused.ReadAnswer()) != 200) ::_exit(11);
        // Sockets first, then the table is filled: connecting takes no descriptor, accepting does.
        std::vector<int> held;
        const int kWaiting = 8;
        for (int i = 0; i < kWaiting; ++i) held.push_back(::socket(AF_INET, SOCK_STREAM, 0));
        for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) held.push_back(fd);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port());
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        sockaddr generic{};
        std::memcpy(&generic, &address, sizeof address);
        for (size_t i = 0; i < static_cast<size_t>(kWaiting); ++i) {
            if (::connect(held[i], &generic, sizeof address) != 0) ::_exit(15);
        }
        if (!WaitFor([&] { return server_->counters().refused > 0; })) ::_exit(12);
        rusage before{}, after{};
        ::getrusage(RUSAGE_SELF, &before);
        std::this_thread::sleep_for(milliseconds(500));
        ::getrusage(RUSAGE_SELF, &after);
        const auto used = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1'000'000 +
                          after.ru_utime.tv_usec - before.ru_utime.tv_usec;
        if (used > 200'000) ::_exit(13);
        for (const int fd : held) ::close(fd);
        const bool again = WaitFor([&] { return StatusOf(Once(GetOf("/a"))) == 200; });
        ::_exit(again ? 0 : 14);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace opensend::http
