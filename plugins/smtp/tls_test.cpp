#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "plugins/smtp/relay.h"
#include "tests/support/smtp_certificates.h"
#include "tests/support/smtp_script_server.h"

namespace opensend::smtp_plugin {
namespace {

using testing_support::Peer;
using testing_support::ScriptServer;
using testing_support::TestAuthority;

constexpr const char* kOffer = "250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n";

/// Sends one message to a server whose certificate and script the test chooses.
class TlsTest : public testing::Test {
protected:
    void Serve(TestAuthority::Context context) { context_ = std::move(context); }

    /// After STARTTLS or from the first byte: the rest of a friendly server.
    void Friendly(Peer& peer, bool implicit) {
        if (!implicit) {
            peer.Hello(kOffer);
            if (peer.ReadTo("\r\n") != "STARTTLS\r\n") return;
            peer.Say("220 go\r\n");
        }
        if (!peer.StartTls(context_.get())) return;
        if (implicit) peer.Say("220 mx\r\n");
        peer.ReadTo("\r\n");
        peer.Say("250-mx\r\n250 PIPELINING\r\n");
        while (peer.Take()) {
        }
    }

    Verdict Send(TlsMode mode, const std::string& host = "localhost") {
        ScriptServer server([&](Peer& peer, int) { Friendly(peer, mode == TlsMode::kImplicit); });
        return SendTo(server, mode, host);
    }

    Verdict SendTo(const ScriptServer& server, TlsMode mode, const std::string& host) {
        Config config;
        config.host = host;
        config.port = std::to_string(server.port());
        config.tls = mode;
        config.ca_file = authority_.file();
        std::string problem;
        Relay relay(config, TlsContext::Open(config.ca_file, problem), nullptr);
        job_.message.rcpts = {"r@y.example"};
        job_.message.mail_from = "s@x.example";
        job_.message.data = data_;
        job_.message.Rewind();
        job_.deadline = MonotonicNow() + 10 * kSecond;
        relay.Deliver(&job_, 1, [](size_t) {});
        return job_.message.verdicts.at(0);
    }

    TestAuthority authority_{testing::TempDir() + "smtp_ca_" + std::to_string(getpid()) + ".pem"};
    TestAuthority::Context context_ = authority_.Server("DNS:localhost,IP:127.0.0.1");
    std::string data_ = "Subject: x\r\n\r\nhello\r\n";
    Job job_;
};

TEST_F(TlsTest, AGoodCertificateIsAccepted) {
    EXPECT_EQ(Send(TlsMode::kRequired).outcome, Outcome::kAccepted);
    EXPECT_EQ(job_.tls.substr(0, 12), "TLSv1.3 TLS_");
}

TEST_F(TlsTest, AGoodCertificateForAnAddressIsAccepted) {
    EXPECT_EQ(Send(TlsMode::kRequired, "127.0.0.1").outcome, Outcome::kAccepted);
}

TEST_F(TlsTest, TlsFromTheFirstByteWorks) {
    EXPECT_EQ(Send(TlsMode::kImplicit).outcome, Outcome::kAccepted);
}

TEST_F(TlsTest, ALargeMessageTravelsEncrypted) {
    for (int i = 0; i < 40000; ++i) data_ += "a line of a message that needs many records\r\n";
    EXPECT_EQ(Send(TlsMode::kRequired).outcome, Outcome::kAccepted);
}

TEST_F(TlsTest, BadCertificatesAreRefusedWhenRequired) {
    const TestAuthority stranger(authority_.file() + ".other");
    struct Row {
        TestAuthority::Context context;
        const char* text;
    };
    Row rows[] = {
        {authority_.Server("DNS:localhost", -86400),       "expired"},
        {authority_.Server("DNS:other.example"),                                 "ostname mismatch"        },
        {authority_.Server("DNS:localhost.example.com"),                                 "ostname mismatch"},
        {stranger.Server("DNS:localhost"),                                 "signature failure"                      },
    };
    for (Row& row : rows) {
        Serve(std::move(row.context));
        for (const TlsMode mode : {TlsMode::kRequired, TlsMode::kImplicit}) {
            const Verdict verdict = Send(mode);
            EXPECT_EQ(verdict.outcome, Outcome::kDeferred);
            EXPECT_EQ(verdict.stage, Stage::kTls);
            EXPECT_EQ(verdict.hint, Hint::kAuthConfig);
            EXPECT_NE(verdict.text.find(row.text), std::string::npos) << verdict.text;
        }
    }
}

TEST_F(TlsTest, OpportunisticEncryptsWithoutChecking) {
    Serve(authority_.Server("DNS:other.example", -86400));
    EXPECT_EQ(Send(TlsMode::kOpportunistic).outcome, Outcome::kAccepted);
    EXPECT_NE(job_.tls, "");
}

TEST_F(TlsTest, NoneStaysInClear) {
    ScriptServer server([](Peer& peer, int) {
        peer.Hello(kOffer);
        peer.Take();
    });
    EXPECT_EQ(SendTo(server, TlsMode::kNone, "127.0.0.1").outcome, Outcome::kAccepted);
    EXPECT_EQ(job_.tls, "");
}

TEST_F(TlsTest, CommandsInjectedBehindTheGoAheadAreNotSeen) {
    ScriptServer server([&](Peer& peer, int) {
        peer.Hello(kOffer);
        peer.ReadTo("\r\n");
        peer.Say("220 go\r\n250-evil\r\n250 SIZE 1\r\n");
        if (!peer.StartTls(context_.get())) return;
        peer.ReadTo("\r\n");
        peer.Say("250-mx\r\n250 PIPELINING\r\n");
        peer.Take();
    });
    // Whether the extra octets reach the session or the handshake, no limit of 1 may result.
    const Verdict verdict = SendTo(server, TlsMode::kRequired, "localhost");
    EXPECT_NE(verdict.outcome, Outcome::kRejected) << verdict.text;
}

TEST_F(TlsTest, AServerThatLeavesDuringTheHandshakeDefersWithoutASignal) {
    // The default action of SIGPIPE would end the test.
    signal(SIGPIPE, SIG_DFL);
    ScriptServer server([](Peer& peer, int) {
        peer.Hello(kOffer);
        peer.ReadTo("\r\n");
        peer.Say("220 go\r\n");
        peer.Reset();
    });
    const Verdict verdict = SendTo(server, TlsMode::kRequired, "localhost");
    EXPECT_EQ(verdict.outcome, Outcome::kDeferred);
    EXPECT_EQ(verdict.stage, Stage::kTls);
    EXPECT_EQ(verdict.hint, Hint::kTemporary);
}

}  // namespace
}  // namespace opensend::smtp_plugin
