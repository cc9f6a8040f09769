#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>

#include <gmock/gmock.h>

#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/crypto/digest.h"
#include "tests/unit/plugin/host_fixture.h"

namespace opensend::plugin {
namespace {

using model::AuthDecision;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kToken = "os_7Hq2LmZp4RtXc9VbN3kWs8YdQ1fGj6TzA0uEo5iRxP2h3Z6eVp";

class KeyStore final : public model::CredentialSource {
public:
    std::optional<model::StoredCredential> FindCredential(std::string_view ref) override {
        if (down) throw base::Error(base::ErrorCode::kUnavailable, "down");
        if (ref != "7Hq2LmZp4RtX") return std::nullopt;
        return model::StoredCredential{
            "key", "org", scope,
            *base::HexDecode("cace80c186bc172338f501cb7a5fe4533f7527668f570fc8188aef16ef3d28f8"),
            1};
    }
    std::optional<std::string> PepperMac(uint32_t kid, std::string_view data) override {
        if (kid != 1) return std::nullopt;
        const auto pepper =
            base::HexDecode("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
        return crypto::HmacSha256(*pepper, data);
    }
    uint32_t active_pepper() const override { return 1; }
    std::atomic<bool> down{false};  // asked from another thread when the backend runs apart
    std::string scope = "sending_access";
};

class BackendsTest : public HostFixture {
protected:
    BackendsTest() {
        config.dir = OPENSEND_BINARY_DIR "/plugins";
        config.plugins = {
            {"api_key",      "", "", false, "{}"},
            {"memory_limit", "", "", false, "{}"},
            {"capture",      "", "", false, "{}"}
        };
        config.auth_backends = {"api_key"};
        config.ratelimit_backend = "memory";
        deps.credentials = &store;
    }
    void Begin() { host = std::make_unique<Host>(config, deps); }
    model::AuthResult Ask(std::string_view token) {
        model::AuthRequest request;
        request.scheme = "bearer";
        request.credential = base::Secret(std::string(token));
        return host->authenticator().Authenticate(std::move(request));
    }
    KeyStore store;
};

TEST_F(BackendsTest, AKeyBecomesAPrincipal) {
    Begin();
    EXPECT_TRUE(host->fatal_problems().empty());
    const auto result = Ask(kToken);
    EXPECT_EQ(result.decision, AuthDecision::kAllow);
    EXPECT_EQ(result.subject, "key");
    EXPECT_EQ(result.tenant, "org");
    EXPECT_THAT(result.scopes, ElementsAre("sending_access"));
    EXPECT_EQ(result.cache_ttl, std::chrono::milliseconds(5000));
}

TEST_F(BackendsTest, BackendsInWorkersAnswerLikeThoseInTheServer) {
    config.worker_path = OPENSEND_BINARY_DIR "/bin/opensend-plugin-worker";
    for (PluginConfig& plugin : config.plugins) plugin.isolation = "worker";
    config.plugins.pop_back();
    Begin();
    ASSERT_TRUE(host->fatal_problems().empty()) << host->fatal_problems()[0];
    const auto result = Ask(kToken);
    EXPECT_EQ(result.decision, AuthDecision::kAllow);
    EXPECT_EQ(result.subject, "key");
    EXPECT_THAT(result.scopes, ElementsAre("sending_access"));
    EXPECT_EQ(Ask("os_000000000000000000000000000000000000000000003nb7gz").reason, "invalid");
    store.down = true;
    EXPECT_EQ(Ask(kToken).decision, AuthDecision::kUnavailable);
}

TEST_F(BackendsTest, WhatNobodyKnowsIsDenied) {
    Begin();
    EXPECT_EQ(Ask("something else").decision, AuthDecision::kDeny);
    EXPECT_EQ(Ask("os_000000000000000000000000000000000000000000003nb7gz").reason, "invalid");
}

TEST_F(BackendsTest, AScopeOutsideTheListLetsNobodyIn) {
    Begin();
    store.scope = "root";
    EXPECT_EQ(Ask(kToken).decision, AuthDecision::kDeny);
    store.scope = "domain:1";
    EXPECT_EQ(Ask(kToken).decision, AuthDecision::kDeny);
}

TEST_F(BackendsTest, AStoreThatIsDownMeansLater) {
    Begin();
    store.down = true;
    EXPECT_EQ(Ask(kToken).decision, AuthDecision::kUnavailable);
}

TEST_F(BackendsTest, ABackendThatIsNotUpMeansLaterAndRefusesTheStart) {
    config.auth_backends = {"ldap", "api_key"};
    Begin();
    EXPECT_EQ(Ask(kToken).decision, AuthDecision::kUnavailable);
    EXPECT_THAT(host->fatal_problems(), Contains(HasSubstr("ldap: name: expected")));
    deps.credentials = nullptr;
    config.auth_backends = {"api_key"};
    Begin();
    EXPECT_EQ(Ask(kToken).decision, AuthDecision::kUnavailable);
    EXPECT_THAT(host->fatal_problems(), Contains(HasSubstr("credential service is not granted")));
}

TEST_F(BackendsTest, TheLimiterChargesAllBucketsOrNone) {
    Begin();
    ASSERT_NE(host->limiter(), nullptr);
    EXPECT_EQ(host->limiter(), host->local_limiter());
    EXPECT_EQ(host->limiter()->name(), "memory");
    const model::RateBucket wide{"wide", 60'000'000, 120'000'000, 1};
    const model::RateBucket narrow{"narrow", 60'000'000, 60'000'000, 1};
    const std::vector<model::RateBucket> both = {wide, narrow};
    auto verdict = host->limiter()->Acquire(both);
    EXPECT_TRUE(verdict.allowed);
    EXPECT_FALSE(verdict.store_failed);
    EXPECT_EQ(verdict.buckets[0].remaining, 1u);
    verdict = host->limiter()->Acquire(both);
    EXPECT_FALSE(verdict.allowed);
    EXPECT_EQ(verdict.buckets[0].retry_after_us, 0u);
    EXPECT_GT(verdict.buckets[1].retry_after_us, 0u);
    EXPECT_TRUE(host->limiter()->Acquire({&wide, 1}).allowed);
    host->limiter()->Refund({&narrow, 1});
    EXPECT_TRUE(host->limiter()->Acquire({&narrow, 1}, true).allowed);
}

TEST_F(BackendsTest, DisabledKeepsTheProtectionBuckets) {
    config.ratelimit_backend = "disabled";
    Begin();
    EXPECT_EQ(host->limiter(), nullptr);
    EXPECT_NE(host->local_limiter(), nullptr);
}

class FlakyLimiterTest : public BackendsTest {
protected:
    FlakyLimiterTest() {
        config.dir = OPENSEND_BINARY_DIR "/plugins_bad";
        config.plugins = {
            {"flaky",        "",                                             "", false, R"({"mood":")" + mood + R"("})"},
            {"memory_limit", OPENSEND_BINARY_DIR "/plugins/memory_limit.so", "", false, "{}"                           }
        };
        config.auth_backends = {};
        config.ratelimit_backend = "flaky";
        Begin();
    }
    ~FlakyLimiterTest() override { unlink(mood.c_str()); }
    void Mood(const std::string& text) { std::ofstream(mood) << text; }
    model::RateVerdict Charge(bool peek = false) {
        const model::RateBucket bucket{"a", 1'000, 8'000, 1, 4};
        return host->limiter()->Acquire({&bucket, 1}, peek);
    }
    const std::string mood = testing::TempDir() + "flaky_mood" + std::to_string(getpid());
};

TEST_F(FlakyLimiterTest, AStoreThatCannotBeAskedIsAFailureAndNoAnswer) {
    ASSERT_NE(host->limiter(), nullptr) << host->plugins()[0].problem;
    EXPECT_NE(host->limiter(), host->local_limiter());
    const auto good = Charge();
    EXPECT_TRUE(good.allowed && !good.store_failed && !good.degraded);
    EXPECT_EQ(good.buckets[0].remaining, 2u) << "the plugin knows how many processes there are";
    Mood("degraded");
    EXPECT_TRUE(Charge().degraded);
    for (const char* how : {"down", "throw", "hang"}) {
        Mood(how);
        const auto began = std::chrono::steady_clock::now();
        const auto verdict = Charge();
        EXPECT_TRUE(verdict.store_failed && !verdict.allowed) << how;
        EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(1)) << how;
    }
}

TEST_F(FlakyLimiterTest, ALookClosesTheBreakerThatFailuresOpened) {
    Mood("down");
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(Charge().store_failed);
    unlink(mood.c_str());
    EXPECT_TRUE(Charge().store_failed) << "the breaker is open";
    EXPECT_FALSE(Charge(true).store_failed);
    EXPECT_FALSE(Charge().store_failed);
}

TEST_F(BackendsTest, WithoutMemoryLimitTheServerDoesNotStart) {
    config.plugins = {
        {"api_key", "", "", false, "{}"}
    };
    Begin();
    EXPECT_EQ(host->limiter(), nullptr);
    EXPECT_THAT(host->fatal_problems(), Contains(HasSubstr("memory: name: expected")));
}

TEST_F(BackendsTest, ATransportIsFoundByItsScheme) {
    const std::string path = testing::TempDir() + "backends_capture" + std::to_string(getpid());
    config.transports = {
        {"a", "capture", "", R"({"path":")" + path + R"("})"},
        {"b", "smtp",    "", "{}"                           }
    };
    Begin();
    ASSERT_NE(host->FindTransport("a"), nullptr);
    EXPECT_EQ(host->FindTransport("b"), nullptr);
    EXPECT_THAT(host->transports()[1].problem, HasSubstr("smtp: name: expected"));
    const auto results = Deliver(*host->FindTransport("a"), 3);
    EXPECT_EQ(results[2][1].result, model::ResultClass::kOk);
    EXPECT_TRUE(results[2][1].final_host);
    host.reset();
    EXPECT_EQ(system(("rm -r " + path).c_str()), 0);
}

TEST_F(BackendsTest, TwoPluginsOfOneNameOrKindAreOneTooMany) {
    config.plugins.push_back({"api_key", "", "", false, "{}"});
    config.plugins.push_back({"other", "capture.so", "", false, "{}"});
    Begin();
    EXPECT_THAT(host->plugins()[3].problem, HasSubstr("expected a name of its own"));
    EXPECT_THAT(host->plugins()[4].problem, HasSubstr("from one plugin, found capture"));
}

}  // namespace
}  // namespace opensend::plugin
