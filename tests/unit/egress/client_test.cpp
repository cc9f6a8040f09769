#include "kernel/egress/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/base/text.h"
#include "tests/support/raw_server.h"

namespace opensend::egress {
namespace {

using base::Cat;
using std::chrono::milliseconds;
using test::RawPeer;
using test::RawServer;
using ::testing::HasSubstr;
using ::testing::Not;

base::IpAddress Address(std::string_view text) { return base::ParseIp(text, true).value(); }

FetchRequest To(
    uint16_t port, std::string_view host = "hooks.example", std::string_view scheme = "http"
) {
    FetchRequest request;
    request.url = Cat(scheme, "://", host, ':', port, "/hook?a=b");
    request.body = "{}";
    request.pinned = {Address("127.0.0.1")};
    request.deadline = milliseconds(5000);
    return request;
}

void Answer(RawPeer& peer, std::string_view body = "ok", std::string_view more = "") {
    peer.Write(Cat("HTTP/1.1 200 OK\r\n", more, "Content-Length: ", body.size(), "\r\n\r\n", body));
}

/// Answers every request of a connection.
void AnswerAll(RawPeer& peer) {
    while (!peer.ReadRequest().empty()) Answer(peer);
}

TEST(HttpClient, SendsTheRequestAndReturnsTheAnswer) {
    std::string seen;
    RawServer server([&](RawPeer& peer) {
        seen = peer.ReadRequest();
        Answer(peer, "hello", "X-One: 1\r\nX-One:  2 \r\n");
        peer.WaitForClose();
    });
    FetchRequest request = To(server.port());
    request.headers.Add("webhook-id", "msg_1");
    request.headers.Add("Content-Type", "application/json");
    request.headers.Add("X-Empty", "");
    request.headers.Add("Host", "other.example");
    {
        Client client({});
        const auto result = client.Fetch(request);
        EXPECT_EQ(result.failure, ClientFailure::kNone);
        EXPECT_EQ(result.status, 200);
        EXPECT_EQ(result.body, "hello");
        EXPECT_EQ(result.headers.Joined("x-one"), "1, 2");
        EXPECT_EQ(result.remote_address, "127.0.0.1");
    }
    EXPECT_THAT(seen, HasSubstr("POST /hook?a=b HTTP/1.1\r\n"));
    EXPECT_THAT(seen, HasSubstr(Cat("Host: hooks.example:", server.port(), "\r\n")));
    EXPECT_THAT(seen, HasSubstr("webhook-id: msg_1\r\n"));
    EXPECT_THAT(seen, HasSubstr("X-Empty:\r\n"));
    EXPECT_THAT(seen, HasSubstr("\r\n\r\n{}"));
    for (const char* name : {"User-Agent", "Accept", "Expect", "Cookie", "other.example"}) {
        EXPECT_THAT(seen, Not(HasSubstr(name)));
    }
}

TEST(HttpClient, SpeaksEveryMethod) {
    std::mutex mutex;
    std::vector<std::string> lines;
    RawServer server([&](RawPeer& peer) {
        for (std::string text; !(text = peer.ReadRequest()).empty();) {
            {
                const std::lock_guard lock(mutex);
                lines.push_back(text.substr(0, text.find(' ')) + text.substr(text.rfind('\n') + 1));
            }
            peer.Write("HTTP/1.1 204 No Content\r\n\r\n");
        }
    });
    Client client({});
    for (const char* method : {"GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "POST"}) {
        FetchRequest request = To(server.port());
        request.method = method;
        request.body = std::string(method).starts_with('P') ? "body" : "";
        EXPECT_EQ(client.Fetch(request).status, 204) << method;
    }
    FetchRequest bad = To(server.port());
    bad.method = "GET / HTTP/1.1\r\nX:";
    EXPECT_EQ(client.Fetch(bad).failure, ClientFailure::kProtocol);
    const std::lock_guard lock(mutex);
    EXPECT_EQ(
        lines, (std::vector<std::string>{
                   "GET", "HEAD", "DELETE", "OPTIONS", "PUTbody", "PATCHbody", "POSTbody"})
    );
}

TEST(HttpClient, RefusesWhatIsNoHttpUrl) {
    Client client({});
    for (const char* url :
         {"ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1", "", "http://u:p@127.0.0.1/",
          "http://a b/", "http://\r\n/"}) {
        FetchRequest request = To(1);
        request.url = url;
        EXPECT_EQ(client.Fetch(request).failure, ClientFailure::kProtocol) << url;
    }
}

TEST(HttpClient, ReturnsARedirectAndDoesNotFollowIt) {
    RawServer server([](RawPeer& peer) {
        peer.ReadRequest();
        peer.Write(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        );
        peer.WaitForClose();
    });
    Client client({});
    const auto result = client.Fetch(To(server.port()));
    EXPECT_EQ(result.failure, ClientFailure::kNone);
    EXPECT_EQ(result.status, 302);
    EXPECT_EQ(result.headers.Find("location"), "http://127.0.0.1:1/");
    EXPECT_EQ(server.connections(), 1);
}

TEST(HttpClient, ADrippingServerHitsTheTotalDeadline) {
    RawServer server([](RawPeer& peer) {
        peer.ReadRequest();
        peer.Write("HTTP/1.1 200 OK\r\n\r\n");
        while (peer.Pause(milliseconds(20)) && peer.Write("x")) {
        }
    });
    Client client({});
    FetchRequest request = To(server.port());
    request.deadline = milliseconds(400);
    const auto result = client.Fetch(request);
    EXPECT_EQ(result.failure, ClientFailure::kTimeout);
    EXPECT_EQ(result.status, 0);
    EXPECT_TRUE(result.body.empty());
    EXPECT_GE(result.duration, milliseconds(350));
    EXPECT_LT(result.duration, milliseconds(3000));
}

TEST(HttpClient, ASilentServerHitsTheDeadline) {
    RawServer server([](RawPeer& peer) { peer.WaitForClose(); });
    Client client({});
    FetchRequest request = To(server.port());
    request.deadline = milliseconds(200);
    EXPECT_EQ(client.Fetch(request).failure, ClientFailure::kTimeout);
}

TEST(HttpClient, AConnectionThatNobodyAcceptsTimesOut) {
    // The queue of a listener that never accepts fills up; further connections hang.
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&name), size), 0);
    ASSERT_EQ(listen(listener, 0), 0);
    ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&name), &size), 0);
    std::vector<int> fillers;
    for (int i = 0; i < 4; ++i) {
        fillers.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        static_cast<void>(connect(fillers.back(), reinterpret_cast<sockaddr*>(&name), size));
    }
    Client client({});
    FetchRequest request = To(ntohs(name.sin_port));
    request.connect_timeout = milliseconds(200);
    const auto result = client.Fetch(request);
    EXPECT_EQ(result.failure, ClientFailure::kTimeout);
    EXPECT_LT(result.duration, milliseconds(3000));
    for (const int fd : fillers) close(fd);
    close(listener);
}

TEST(HttpClient, AClosedPortIsAConnectFailure) {
    uint16_t port = 0;
    {
        port = RawServer([](RawPeer&) {}).port();
    }
    Client client({});
    EXPECT_EQ(client.Fetch(To(port)).failure, ClientFailure::kConnectFailed);
}

TEST(HttpClient, TriesTheNextPinnedAddress) {
    RawServer server(AnswerAll);
    Client client({});
    FetchRequest request = To(server.port());
    request.pinned = {Address("127.0.0.9"), Address("::1"), Address("127.0.0.1")};
    EXPECT_EQ(client.Fetch(request).status, 200);
}

TEST(HttpClient, CapsTheHead) {
    RawServer server([](RawPeer& peer) {
        peer.ReadRequest();
        peer.Write("HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 40; ++i) peer.Write(Cat("X-", i, ": ", std::string(1000, 'x'), "\r\n"));
        peer.Write("Content-Length: 0\r\n\r\n");
        peer.WaitForClose();
    });
    Client client({});
    FetchRequest request = To(server.port());
    EXPECT_EQ(client.Fetch(request).failure, ClientFailure::kResponseTooLarge);
    request.max_response_head = 64 * 1024;
    EXPECT_EQ(client.Fetch(request).headers.all().size(), 41U);
}

TEST(HttpClient, CutsOrRefusesALongBody) {
    RawServer server([](RawPeer& peer) {
        peer.ReadRequest();
        peer.Write("HTTP/1.1 200 OK\r\n\r\n");
        while (peer.Write(std::string(4096, 'x'))) {
        }
    });
    Client client({});
    FetchRequest request = To(server.port());
    request.max_response_body = 100'000;
    auto result = client.Fetch(request);
    EXPECT_EQ(result.failure, ClientFailure::kNone);
    EXPECT_EQ(result.status, 200);
    EXPECT_EQ(result.body, std::string(100'000, 'x'));
    request.cut_body = false;
    result = client.Fetch(request);
    EXPECT_EQ(result.failure, ClientFailure::kResponseTooLarge);
    EXPECT_TRUE(result.body.empty());
}

TEST(HttpClient, DoesNotDecodeContentCodings) {
    RawServer server([](RawPeer& peer) {
        while (!peer.ReadRequest().empty()) Answer(peer, "not gzip", "Content-Encoding: gzip\r\n");
    });
    Client client({});
    EXPECT_EQ(client.Fetch(To(server.port())).body, "not gzip");
}

TEST(HttpClient, SkipsAFewInformationalAnswers) {
    std::atomic<int> count{3};
    RawServer server([&](RawPeer& peer) {
        while (!peer.ReadRequest().empty()) {
            for (int i = 0; i < count; ++i) {
                peer.Write("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
            }
            Answer(peer);
        }
    });
    Client client({});
    const auto result = client.Fetch(To(server.port()));
    EXPECT_EQ(result.status, 200);
    EXPECT_FALSE(result.headers.Find("Link"));
    count = 11;
    EXPECT_EQ(client.Fetch(To(server.port())).failure, ClientFailure::kProtocol);
}

TEST(HttpClient, WhatIsNotHttpIsAProtocolFailure) {
    for (const char* text :
         {"SSH-2.0-x\r\n", "", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"}) {
        RawServer server([&](RawPeer& peer) {
            peer.ReadRequest();
            peer.Write(text);
        });
        Client client({});
        EXPECT_EQ(client.Fetch(To(server.port())).failure, ClientFailure::kProtocol) << text;
    }
}

TEST(HttpClient, ReusesAConnection) {
    RawServer server(AnswerAll);
    Client client({});
    for (int i = 0; i < 5; ++i) EXPECT_EQ(client.Fetch(To(server.port())).status, 200);
    EXPECT_EQ(server.connections(), 1);
}

TEST(HttpClient, NeverUsesAKeptConnectionToAnotherAddress) {
    RawServer first(AnswerAll);
    Client client({});
    EXPECT_EQ(client.Fetch(To(first.port())).status, 200);
    // The same name now has another address, where nobody listens.
    FetchRequest moved = To(first.port());
    moved.pinned = {Address("127.0.0.2")};
    EXPECT_EQ(client.Fetch(moved).failure, ClientFailure::kConnectFailed);
    EXPECT_EQ(client.Fetch(To(first.port())).status, 200);
}

TEST(HttpClient, ANumericUrlGoesNowhereElseThanPinned) {
    RawServer server(AnswerAll);
    Client client({});
    FetchRequest request = To(server.port(), "127.0.0.1");
    EXPECT_EQ(client.Fetch(request).status, 200);
    request.pinned = {Address("127.0.0.2")};
    EXPECT_EQ(client.Fetch(request).failure, ClientFailure::kConnectFailed);
    request = To(server.port(), "localhost");
    request.pinned = {};
    EXPECT_EQ(client.Fetch(request).failure, ClientFailure::kConnectFailed);
    EXPECT_EQ(server.connections(), 1);
}

TEST(HttpClient, IgnoresProxyVariables) {
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("all_proxy", "http://127.0.0.1:1/", 1);
    RawServer server(AnswerAll);
    Client client({});
    EXPECT_EQ(client.Fetch(To(server.port())).status, 200);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
}

TEST(HttpClientTls, VerifiesCertificateAndName) {
    const test::TestCertificates files("hooks.example");
    RawServer server(RawServer::Tls{files.certificate_file, files.key_file}, AnswerAll);
    Client::Options options;
    options.ca_file = files.ca_file;
    Client trusting(options);
    const auto good = trusting.Fetch(To(server.port(), "hooks.example", "https"));
    EXPECT_EQ(good.failure, ClientFailure::kNone) << ToText(good.failure);
    EXPECT_EQ(good.status, 200);
    EXPECT_EQ(
        trusting.Fetch(To(server.port(), "other.example", "https")).failure,
        ClientFailure::kTlsFailed
    );
    Client strict({});
    EXPECT_EQ(
        strict.Fetch(To(server.port(), "hooks.example", "https")).failure, ClientFailure::kTlsFailed
    );
}

TEST(HttpClientTls, PlainTextBehindHttpsIsATlsFailure) {
    RawServer server([](RawPeer& peer) { peer.Write("HTTP/1.1 400 Bad Request\r\n\r\n"); });
    Client client({});
    EXPECT_EQ(
        client.Fetch(To(server.port(), "hooks.example", "https")).failure, ClientFailure::kTlsFailed
    );
}

TEST(HttpClient, TheDestructorCancelsWhatRuns) {
    RawServer server([](RawPeer& peer) { peer.WaitForClose(); });
    std::atomic<int> canceled{0};
    {
        Client client({});
        for (int i = 0; i < 50; ++i) {
            client.Start(To(server.port()), [&](const FetchResult& result) {
                canceled += result.failure == ClientFailure::kCanceled ? 1 : 0;
            });
        }
    }
    EXPECT_EQ(canceled, 50);
}

TEST(HttpClient, RunsManyFetchesAtOnce) {
    RawServer server(AnswerAll);
    Client client({});
    std::mutex mutex;
    std::condition_variable changed;
    int good = 0;
    int ended = 0;
    for (int i = 0; i < 200; ++i) {
        FetchRequest request = To(server.port(), Cat("h", i % 40, ".example"));
        request.deadline = milliseconds(30'000);
        client.Start(std::move(request), [&](const FetchResult& result) {
            const std::lock_guard lock(mutex);
            good += result.status == 200 ? 1 : 0;
            ++ended;
            changed.notify_one();
        });
    }
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(60), [&] { return ended == 200; }));
    EXPECT_EQ(good, 200);
}

TEST(HttpClient, OneHostGetsNoMoreConnectionsThanAllowed) {
    RawServer server(AnswerAll);
    Client::Options options;
    options.max_connections_per_host = 4;
    Client client(options);
    std::mutex mutex;
    std::condition_variable changed;
    int good = 0;
    for (int i = 0; i < 60; ++i) {
        client.Start(To(server.port()), [&](const FetchResult& result) {
            const std::lock_guard lock(mutex);
            good += result.status == 200 ? 1 : 0;
            changed.notify_one();
        });
    }
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(30), [&] { return good == 60; }));
    EXPECT_LE(server.connections(), 4);
}

}  // namespace
}  // namespace opensend::egress
