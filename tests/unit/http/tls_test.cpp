#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "kernel/tls/identity.h"
#include "tests/support/smtp_certificates.h"
#include "tests/unit/http/server_fixture.h"

namespace opensend::http {
namespace {

using std::chrono::milliseconds;

/// OpenSSL's own client on a RawClient's socket.
class TlsClient {
public:
    TlsClient(uint16_t port, const std::string& authority, int max_version = TLS1_3_VERSION)
        : raw_(port), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
        SSL_CTX_load_verify_locations(context_.get(), authority.c_str(), nullptr);
        SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_security_level(context_.get(), 0);
        SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
        SSL_CTX_set_max_proto_version(context_.get(), max_version);
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), raw_.fd());
        connected_ = SSL_connect(ssl_.get()) == 1;
    }
    bool connected() const { return connected_; }
    std::string version() const { return SSL_get_version(ssl_.get()); }
    bool Send(std::string_view text) {
        return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) ==
               static_cast<int>(text.size());
    }
    std::string ReadUntil(std::string_view end) {
        std::string out;
        char piece[16'384];
        while (out.find(end) == std::string::npos) {
            const int got = SSL_read(ssl_.get(), piece, sizeof piece);
            if (got <= 0) break;
            out.append(piece, static_cast<size_t>(got));
        }
        return out;
    }
    /// The peer said goodbye properly.
    bool ended_cleanly() const {
        return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
    }
    std::string Serial() const {
        X509* const peer = SSL_get1_peer_certificate(ssl_.get());
        BIGNUM* const number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(peer), nullptr);
        char* const text = BN_bn2dec(number);
        std::string out = text;
        OPENSSL_free(text);
        BN_free(number);
        X509_free(peer);
        return out;
    }

private:
    RawClient raw_;
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
    struct Free {
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };
    std::unique_ptr<SSL, Free> ssl_;
    bool connected_ = false;
};

class StepClock final : public base::Clock {
public:
    base::Time Now() const override { return system.Now(); }
    base::MonoTime Mono() const override { return {step.load() * 1'000'000'000}; }
    base::SystemClock system;
    std::atomic<int64_t> step{1};
};

class TlsServerTest : public ServerTest {
protected:
    TlsServerTest() : folder_(std::filesystem::temp_directory_path() / "opensend-tls-XXXXXX") {
        std::string pattern = folder_;
        folder_ = ::mkdtemp(pattern.data());
        authority_ = std::make_unique<testing_support::TestAuthority>(folder_ + "/ca.pem");
        authority_->Write(cert(), key(), "IP:127.0.0.1");
        identity_ = std::make_unique<tls::Identity>(cert(), key(), clock_);
    }
    ~TlsServerTest() override {
        server_.reset();
        std::filesystem::remove_all(folder_);
    }
    std::string cert() const { return folder_ + "/cert.pem"; }
    std::string key() const { return folder_ + "/key.pem"; }
    void StartTls(ServerOptions options = {}) {
        options.identity = identity_.get();
        Start(std::move(options));
    }

    std::string folder_;
    StepClock clock_;
    std::unique_ptr<testing_support::TestAuthority> authority_;
    std::unique_ptr<tls::Identity> identity_;
};

TEST_F(TlsServerTest, AnswersSeveralRequestsOnOneConnection) {
    StartTls();
    TlsClient client(port(), authority_->file());
    ASSERT_TRUE(client.connected());
    EXPECT_EQ(client.version(), "TLSv1.3");
    for (int i = 0; i < 3; ++i) {
        const std::string body(50'000, 'x');
        EXPECT_TRUE(client.Send(
            base::Cat("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n", body)
        ));
        EXPECT_NE(client.ReadUntil("x]").find("POST /a [xxx"), std::string::npos);
    }
}

TEST_F(TlsServerTest, PipelinedRequestsKeepTheirOrder) {
    StartTls();
    TlsClient client(port(), authority_->file());
    EXPECT_TRUE(
        client.Send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
                    "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
    );
    const std::string all = client.ReadUntil("GET /3");
    EXPECT_LT(all.find("GET /1"), all.find("GET /2"));
    EXPECT_LT(all.find("GET /2"), all.find("GET /3"));
}

TEST_F(TlsServerTest, ALargeAnswerReachesASlowReader) {
    StartTls();
    TlsClient client(port(), authority_->file());
    EXPECT_TRUE(client.Send("GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    const std::string all = client.ReadUntil("never");
    EXPECT_GT(all.size(), size_t{4} << 20);
    EXPECT_TRUE(client.ended_cleanly());
}

TEST_F(TlsServerTest, AllowsTheBodyThatAClientAsksFor) {
    StartTls();
    TlsClient client(port(), authority_->file());
    EXPECT_TRUE(client.Send(
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    ));
    EXPECT_EQ(client.ReadUntil("\r\n\r\n").substr(0, 12), "HTTP/1.1 100");
    EXPECT_TRUE(client.Send("ok"));
    EXPECT_NE(client.ReadUntil("[ok]").find("200"), std::string::npos);
}

TEST_F(TlsServerTest, SpeaksTls12AndNothingOlder) {
    StartTls();
    EXPECT_EQ(TlsClient(port(), authority_->file(), TLS1_2_VERSION).version(), "TLSv1.2");
    EXPECT_FALSE(TlsClient(port(), authority_->file(), TLS1_1_VERSION).connected());
}

TEST_F(TlsServerTest, PlainHttpAndGarbageGetNoAnswer) {
    StartTls();
    EXPECT_EQ(UntilClosed("GET / HTTP/1.1\r\nHost: a\r\n\r\n").find("HTTP"), std::string::npos);
    EXPECT_EQ(UntilClosed(std::string(3'000, '\xff')).find("HTTP"), std::string::npos);
    EXPECT_TRUE(WaitFor([&] { return server_->counters().open == 0; }));
}

TEST_F(TlsServerTest, AHandshakeThatNeverEndsIsCutOff) {
    StartTls({.head_timeout = milliseconds(200)});
    RawClient client(port());
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(client.Send("\x16\x03\x01"));
    EXPECT_EQ(client.ReadAll(), "");
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(TlsServerTest, AReplacedCertificateIsUsedWithinASecondAndABrokenOneIsNot) {
    StartTls();
    const std::string first = TlsClient(port(), authority_->file()).Serial();
    authority_->Write(cert(), key(), "IP:127.0.0.1");
    ++clock_.step;
    const std::string second = TlsClient(port(), authority_->file()).Serial();
    EXPECT_NE(second, first);
    std::ofstream(key()) << "not a key";
    ++clock_.step;
    EXPECT_EQ(TlsClient(port(), authority_->file()).Serial(), second);
    const auto reloaded = identity_->Reload();
    ASSERT_FALSE(reloaded.ok());
    EXPECT_EQ(reloaded.error().find(key()), 0u);
}

TEST_F(TlsServerTest, AnUnusablePairIsRefusedWithItsReason) {
    const auto problem = [&](const std::string& cert, const std::string& key) {
        try {
            const tls::Identity identity(cert, key, clock_);
        } catch (const base::Error& error) {
            return error.public_message();
        }
        return std::string("accepted");
    };
    authority_->Write(folder_ + "/b.pem", folder_ + "/b.key", "IP:127.0.0.1");
    authority_->Write(folder_ + "/old.pem", folder_ + "/old.key", "IP:127.0.0.1", -60);
    EXPECT_NE(problem(cert(), folder_ + "/b.key").find("mismatch"), std::string::npos);
    EXPECT_NE(problem(folder_ + "/none.pem", key()).find("none.pem"), std::string::npos);
    EXPECT_NE(problem(key(), key()).find("no certificate"), std::string::npos);
    EXPECT_NE(problem(folder_ + "/old.pem", folder_ + "/old.key").find("ended"), std::string::npos);
}

}  // namespace
}  // namespace opensend::http
