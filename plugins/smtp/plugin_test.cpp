#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <spawn.h>

#include "tests/support/smtp_fake_host.h"
#include "tests/support/smtp_script_server.h"

namespace opensend::smtp_plugin {
namespace {

using testing_support::Completed;
using testing_support::OpenPlugin;
using testing_support::Peer;
using testing_support::PluginInstance;
using testing_support::ScriptServer;
using testing_support::SmtpFakeHost;
using testing_support::TestMessage;

constexpr const char* kMail = "Subject: x\r\n\r\nhello\r\n";

const osp_plugin* SmtpPlugin() {
    static const osp_plugin* const plugin = OpenPlugin(OPENSEND_BINARY_DIR "/plugins/smtp.so");
    return plugin;
}

class SmtpPluginTest : public testing::Test {
protected:
    std::unique_ptr<PluginInstance> Start(
        int port,
        const std::string& more = "",
        const std::string& kind = "smtp",
        const std::string& host = "127.0.0.1"
    ) {
        auto instance = std::make_unique<PluginInstance>(
            SmtpPlugin(), kind, host_,
            "{\"host\":\"" + host + "\",\"port\":" + std::to_string(port) + more + "}"
        );
        EXPECT_EQ(instance->status(), OSP_OK) << instance->error();
        return instance;
    }

    /// Sends `count` messages with tokens from `first` in one batch.
    void Send(
        PluginInstance& plugin,
        osp_token first,
        size_t count = 1,
        std::vector<std::string> to = {"r@y.example"},
        const std::string& data = kMail,
        uint64_t timeout_ns = 20'000'000'000
    ) {
        std::vector<std::unique_ptr<TestMessage>> messages;
        std::vector<osp_msg> views;
        for (size_t i = 0; i < count; ++i) {
            messages.push_back(std::make_unique<TestMessage>(first + i, "s@x.example", to, data));
            messages.back()->msg().deadline = SmtpFakeHost::Monotonic() + timeout_ns;
            views.push_back(messages.back()->msg());
        }
        osp_batch batch{
            sizeof(osp_batch), 0, views.data(), static_cast<uint32_t>(count), sizeof(osp_msg)};
        EXPECT_EQ(plugin.transport().send(plugin.get(), &batch, plugin.last_error()), OSP_OK);
        for (size_t i = 0; i < count; ++i) EXPECT_EQ(host_.Get(first + i).times, 1) << i;
    }

    Completed::Rcpt Only(osp_token token) {
        const Completed completed = host_.Get(token);
        EXPECT_EQ(completed.status, OSP_OK);
        EXPECT_EQ(completed.rcpts.size(), 1u);
        return completed.rcpts.empty() ? Completed::Rcpt{} : completed.rcpts[0];
    }

    SmtpFakeHost host_;
};

TEST_F(SmtpPluginTest, DescribesItself) {
    const osp_plugin* plugin = SmtpPlugin();
    EXPECT_EQ(plugin->magic, OSP_MAGIC);
    ASSERT_EQ(plugin->n_kinds, 2u);
    EXPECT_STREQ(plugin->kinds[0]->name, "smtp");
    EXPECT_STREQ(plugin->kinds[1]->name, "smtps");
    const auto instance = Start(1);
    osp_transport_caps caps{};
    caps.size = sizeof caps;
    EXPECT_EQ(instance->transport().get_caps(instance->get(), &caps), OSP_OK);
    EXPECT_EQ(caps.max_batch, 32u);
    EXPECT_EQ(caps.max_concurrency, 20u);
    EXPECT_EQ(
        caps.flags, static_cast<uint32_t>(OSP_TR_BLOCKING | OSP_TR_PER_RCPT | OSP_TR_SMTPUTF8)
    );
    EXPECT_EQ(instance->vt().start(instance->get(), nullptr), OSP_E_STATE);
}

TEST_F(SmtpPluginTest, RefusesBadConfigurations) {
    for (const char* json :
         {"", "{}", "{\"host\":\"x\",\"ca_file\":\"/nonexistent.pem\"}",
          "{\"host\":\"x\",\"username\":\"u\",\"password\":{\"$secret\":\"missing\"}}"}) {
        const PluginInstance instance(SmtpPlugin(), "smtp", host_, json);
        EXPECT_EQ(instance.status(), OSP_E_CONFIG) << json;
    }
}

TEST_F(SmtpPluginTest, ABatchTravelsOverOneConnection) {
    ScriptServer server([](Peer& peer, int) {
        peer.Hello();
        while (peer.Take()) {
        }
    });
    const auto plugin = Start(server.port());
    Send(*plugin, 1, 32);
    Send(*plugin, 100, 32);
    EXPECT_EQ(server.accepted(), 1);
    const auto rcpt = Only(131);
    EXPECT_EQ(rcpt.outcome, OSP_OUT_ACCEPTED);
    EXPECT_EQ(rcpt.code, 250);
    EXPECT_EQ(rcpt.enhanced[0], 2);
    EXPECT_EQ(rcpt.stage, OSP_STAGE_END);
    EXPECT_EQ(rcpt.remote_id, "Q1");
    EXPECT_EQ(rcpt.remote_host, "127.0.0.1");
    EXPECT_EQ(rcpt.remote_addr, "127.0.0.1");
    EXPECT_EQ(rcpt.tls, "");
    EXPECT_EQ(rcpt.transcript.find("hello"), std::string::npos);
}

TEST_F(SmtpPluginTest, AConnectionCarriesAHundredMessages) {
    ScriptServer server([](Peer& peer, int) {
        peer.Hello();
        while (peer.Take()) {
        }
    });
    const auto plugin = Start(server.port());
    for (osp_token first = 1; first < 200; first += 25) Send(*plugin, first, 25);
    EXPECT_EQ(server.accepted(), 2);
    EXPECT_EQ(host_.accepted(), 200u);
}

TEST_F(SmtpPluginTest, SeveralRecipientsGetTheirOwnResults) {
    ScriptServer server([](Peer& peer, int) {
        peer.Hello();
        peer.ReadTo("DATA\r\n");
        peer.Say("250 m\r\n250 r\r\n550 5.1.1 no\r\n450 4.2.1 later\r\n354 go\r\n");
        peer.ReadTo("\r\n.\r\n");
        peer.Say("250 ok\r\n");
    });
    const auto plugin = Start(server.port());
    Send(*plugin, 7, 1, {"a@y.example", "b@y.example", "c@y.example"});
    const Completed completed = host_.Get(7);
    ASSERT_EQ(completed.rcpts.size(), 3u);
    EXPECT_EQ(completed.rcpts[0].outcome, OSP_OUT_ACCEPTED);
    EXPECT_EQ(completed.rcpts[1].outcome, OSP_OUT_REJECTED);
    EXPECT_EQ(completed.rcpts[1].code, 550);
    EXPECT_EQ(completed.rcpts[1].stage, OSP_STAGE_RCPT);
    EXPECT_EQ(completed.rcpts[2].outcome, OSP_OUT_DEFERRED);
    EXPECT_EQ(completed.rcpts[2].index, 2u);
}

TEST_F(SmtpPluginTest, AResetBeforeTheBodyIsDeferred) {
    ScriptServer server([](Peer& peer, int) {
        peer.Hello();
        peer.ReadTo("DATA\r\n");
        peer.Say("250 m\r\n250 r\r\n");
        peer.Reset();
    });
    const auto plugin = Start(server.port());
    Send(*plugin, 1);
    EXPECT_EQ(Only(1).outcome, OSP_OUT_DEFERRED);
}

TEST_F(SmtpPluginTest, AResetAfterTheDotIsIndeterminate) {
    ScriptServer server([](Peer& peer, int) {
        peer.Hello();
        peer.ReadTo("DATA\r\n");
        peer.Say("250 m\r\n250 r\r\n354 go\r\n");
        peer.ReadTo("\r\n.\r\n");
        peer.Say("250 2.0");
        peer.Reset();
    });
    const auto plugin = Start(server.port());
    Send(*plugin, 1, 2);
    EXPECT_EQ(Only(1).outcome, OSP_OUT_INDETERMINATE);
    EXPECT_EQ(Only(1).stage, OSP_STAGE_END);
    EXPECT_EQ(Only(2).outcome, OSP_OUT_INDETERMINATE)
        << "the next one went over a connection of its own";
    EXPECT_EQ(server.accepted(), 2);
}

TEST_F(SmtpPluginTest, AKeptConnectionThatDiedIsReplacedUnnoticed) {
    ScriptServer server([](Peer& peer, int) {
        peer.Hello();
        peer.Take();
        // The envelope of the next message is read and never answered.
        peer.ReadTo("DATA\r\n");
        peer.Reset();
    });
    const auto plugin = Start(server.port());
    Send(*plugin, 1);
    Send(*plugin, 2);
    EXPECT_EQ(Only(2).outcome, OSP_OUT_ACCEPTED);
    EXPECT_EQ(server.accepted(), 2);
}

TEST_F(SmtpPluginTest, AFreshConnectionThatDiesIsNotTriedAgain) {
    ScriptServer server([](Peer& peer, int) {
        peer.Hello();
        peer.ReadTo("DATA\r\n");
        peer.Reset();
    });
    const auto plugin = Start(server.port());
    Send(*plugin, 1);
    EXPECT_EQ(Only(1).outcome, OSP_OUT_DEFERRED);
    EXPECT_EQ(Only(1).stage, OSP_STAGE_MAIL);
    EXPECT_EQ(server.accepted(), 1);
}

TEST_F(SmtpPluginTest, ARefusedConnectionDefersTheWholeBatch) {
    int port = 0;
    { port = testing_support::LoopbackListener().port(); }
    const auto plugin = Start(port);
    Send(*plugin, 1, 3);
    for (osp_token token = 1; token <= 3; ++token) {
        EXPECT_EQ(Only(token).outcome, OSP_OUT_DEFERRED);
        EXPECT_EQ(Only(token).stage, OSP_STAGE_CONNECT);
    }
    osp_health health{};
    health.size = sizeof health;
    EXPECT_EQ(plugin->vt().health(plugin->get(), &health), OSP_OK);
    EXPECT_EQ(health.state, OSP_HEALTH_DEGRADED);
    EXPECT_EQ(plugin->transport().probe(plugin->get(), 0, plugin->last_error()), OSP_E_UNAVAILABLE);
}

TEST_F(SmtpPluginTest, TheDeadlineEndsASlowServer) {
    ScriptServer server([](Peer& peer, int) {
        peer.Hello();
        peer.ReadTo("DATA\r\n");
        peer.ReadTo("never");
    });
    const auto plugin = Start(server.port());
    const uint64_t before = SmtpFakeHost::Monotonic();
    Send(*plugin, 1, 2, {"r@y.example"}, kMail, 600'000'000);
    EXPECT_LT(SmtpFakeHost::Monotonic() - before, 600'000'000u)
        << "back before the host's own timer";
    EXPECT_EQ(Only(1).outcome, OSP_OUT_DEFERRED);
    EXPECT_EQ(Only(2).outcome, OSP_OUT_NOT_TRIED);
}

TEST_F(SmtpPluginTest, TheDeadlineAfterTheDotIsIndeterminate) {
    ScriptServer server([](Peer& peer, int) {
        peer.Hello();
        peer.ReadTo("DATA\r\n");
        peer.Say("250 m\r\n250 r\r\n354 go\r\n");
        peer.ReadTo("never");
    });
    const auto plugin = Start(server.port());
    Send(*plugin, 1, 1, {"r@y.example"}, kMail, 600'000'000);
    EXPECT_EQ(Only(1).outcome, OSP_OUT_INDETERMINATE);
}

TEST_F(SmtpPluginTest, CancelEndsAWaitingMessage) {
    std::atomic<bool> waiting{false};
    ScriptServer server([&](Peer& peer, int) {
        peer.Hello();
        peer.ReadTo("DATA\r\n");
        waiting = true;
        peer.ReadTo("never");
    });
    const auto plugin = Start(server.port());
    std::thread canceller([&] {
        while (!waiting) std::this_thread::yield();
        plugin->transport().cancel(plugin->get(), 5);
    });
    Send(*plugin, 5);
    canceller.join();
    EXPECT_EQ(host_.Get(5).status, OSP_E_CANCELLED);
}

TEST_F(SmtpPluginTest, DrainCompletesAfterTheLastSend) {
    std::atomic<int> step{0};
    ScriptServer server([&](Peer& peer, int) {
        peer.Hello();
        peer.ReadTo("DATA\r\n");
        step = 1;
        while (step != 2) std::this_thread::yield();
        peer.Say("550 no\r\n503 x\r\n503 x\r\n");
    });
    const auto plugin = Start(server.port());
    std::thread control([&] {
        while (step != 1) std::this_thread::yield();
        EXPECT_EQ(plugin->vt().drain(plugin->get(), 99, 0), OSP_PENDING);
        step = 2;
    });
    Send(*plugin, 1);
    control.join();
    EXPECT_EQ(host_.Get(99).times, 1);
    osp_batch batch{sizeof(osp_batch), 0, nullptr, 0, sizeof(osp_msg)};
    EXPECT_EQ(plugin->transport().send(plugin->get(), &batch, plugin->last_error()), OSP_E_STATE);
}

TEST_F(SmtpPluginTest, CredentialsComeFromTheHostAndStayOutOfTheTranscript) {
    host_.secrets["relay"] = "hunter2";
    std::string auth;
    ScriptServer server([&](Peer& peer, int) {
        peer.Hello("250-mx\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n");
        auth = peer.ReadTo("\r\n");
        peer.Say("235 ok\r\n");
        peer.Take();
    });
    const auto plugin = Start(server.port(), R"(,"username":"u","password":{"$secret":"relay"})");
    Send(*plugin, 1);
    EXPECT_EQ(auth, "AUTH PLAIN AHUAaHVudGVyMg==\r\n");
    EXPECT_EQ(Only(1).outcome, OSP_OUT_ACCEPTED);
    EXPECT_NE(Only(1).transcript.find("AUTH PLAIN ***"), std::string::npos);
    EXPECT_EQ(Only(1).transcript.find("AHUA"), std::string::npos);
}

TEST_F(SmtpPluginTest, ALargeMessageFromABlobArrivesWhole) {
    std::string got;
    ScriptServer server([&](Peer& peer, int) {
        peer.Hello();
        peer.ReadTo("DATA\r\n");
        peer.Say("250 m\r\n250 r\r\n354 go\r\n");
        got = peer.ReadTo("\r\n.\r\n");
        peer.Say("250 ok\r\n");
    });
    const auto plugin = Start(server.port());
    for (int i = 0; i < 100000; ++i) host_.blob += ".line of a large message\r\n";
    const std::string head = "Subject: x\r\n\r\n";
    TestMessage message(1, "s@x.example", {"r@y.example"}, head);
    int handle = 0;
    message.msg().blob = reinterpret_cast<const osp_blob*>(&handle);
    message.msg().total_size = head.size() + host_.blob.size();
    osp_batch batch{sizeof(osp_batch), 0, &message.msg(), 1, sizeof(osp_msg)};
    EXPECT_EQ(plugin->transport().send(plugin->get(), &batch, plugin->last_error()), OSP_OK);
    EXPECT_EQ(Only(1).outcome, OSP_OUT_ACCEPTED);
    EXPECT_EQ(got.size(), head.size() + host_.blob.size() + 100000 + 3);
}

TEST_F(SmtpPluginTest, AMessageThatCannotBeReadIsNeverSentInPart) {
    std::string seen;
    ScriptServer server([&](Peer& peer, int) {
        peer.Hello();
        for (int i = 0; i < 2; ++i) {
            seen += peer.ReadTo("DATA\r\n");
            peer.Say("250 m\r\n250 r\r\n354 go\r\n");
            seen += peer.ReadTo("\r\n.\r\n");
            peer.Say("250 ok\r\n");
        }
    });
    const auto plugin = Start(server.port());
    TestMessage first(1, "s@x.example", {"r@y.example"}, kMail);
    TestMessage broken(2, "s@x.example", {"broken@y.example"}, kMail);
    TestMessage last(3, "s@x.example", {"r@y.example"}, kMail);
    int handle = 0;
    broken.msg().blob = reinterpret_cast<const osp_blob*>(&handle);
    broken.msg().total_size = 1000000;
    osp_msg views[] = {first.msg(), broken.msg(), last.msg()};
    osp_batch batch{sizeof(osp_batch), 0, views, 3, sizeof(osp_msg)};
    EXPECT_EQ(plugin->transport().send(plugin->get(), &batch, plugin->last_error()), OSP_OK);
    EXPECT_EQ(Only(1).outcome, OSP_OUT_ACCEPTED);
    EXPECT_EQ(host_.Get(2).status, OSP_E_UNSUPPORTED);
    EXPECT_EQ(Only(3).outcome, OSP_OUT_ACCEPTED);
    EXPECT_EQ(seen.find("broken"), std::string::npos);
}

TEST_F(SmtpPluginTest, ProbeSaysHelloAndGoodbye) {
    std::string last;
    ScriptServer server([&](Peer& peer, int) {
        peer.Hello();
        last = peer.ReadTo("\r\n");
        peer.Say("221 bye\r\n");
    });
    const auto plugin = Start(server.port());
    EXPECT_EQ(plugin->transport().probe(plugin->get(), 0, plugin->last_error()), OSP_OK);
    EXPECT_EQ(last, "QUIT\r\n");
}

/// Postfix's smtp-sink on a free port, ended with the test.
class SmtpSink {
public:
    SmtpSink() {
        { port_ = testing_support::LoopbackListener().port(); }
        const std::string address = "127.0.0.1:" + std::to_string(port_);
        const char* arguments[] = {"/usr/sbin/smtp-sink", "-u",  "nobody",
                                   address.c_str(),       "200", nullptr};
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        if (posix_spawn(
                &pid_, arguments[0], &actions, nullptr, const_cast<char* const*>(arguments), nullptr
            ) != 0) {
            ADD_FAILURE() << "smtp-sink does not start";
        }
        posix_spawn_file_actions_destroy(&actions);
        for (int i = 0; i < 500 && !IsUp(); ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    ~SmtpSink() {
        kill(pid_, SIGTERM);
        waitpid(pid_, nullptr, 0);
    }
    SmtpSink(const SmtpSink&) = delete;
    SmtpSink& operator=(const SmtpSink&) = delete;
    int port() const { return port_; }

private:
    bool IsUp() const {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<uint16_t>(port_));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const bool up = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        close(fd);
        return up;
    }
    pid_t pid_ = -1;
    int port_ = 0;
};

TEST_F(SmtpPluginTest, EightThreadsFillSmtpSink) {
    constexpr int kThreads = 8;
    constexpr int kBatches = 40;
    constexpr size_t kBatch = 32;
    SmtpSink sink;
    const auto plugin = Start(sink.port());
    host_.record = false;
    std::string body = kMail;
    while (body.size() < 4096)
        body += "a line of text as it stands in many a message, over and over\r\n";
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&] {
            std::vector<std::unique_ptr<TestMessage>> messages;
            std::vector<osp_msg> views;
            for (size_t i = 0; i < kBatch; ++i) {
                messages.push_back(std::make_unique<TestMessage>(
                    i + 1, "s@x.example", std::vector<std::string>{"r@y.example"}, body
                ));
                views.push_back(messages.back()->msg());
            }
            osp_batch batch{sizeof(osp_batch), 0, views.data(), kBatch, sizeof(osp_msg)};
            osp_error error{};
            for (int i = 0; i < kBatches; ++i) {
                EXPECT_EQ(plugin->transport().send(plugin->get(), &batch, &error), OSP_OK);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const size_t total = size_t{kThreads} * kBatches * kBatch;
    EXPECT_EQ(host_.accepted(), total);
    RecordProperty(
        "messages_per_second", static_cast<int>(static_cast<double>(total) / took.count())
    );
    std::cout << static_cast<double>(total) / took.count() << " messages/s\n";
}

}  // namespace
}  // namespace opensend::smtp_plugin
