#include <map>

#include <gmock/gmock.h>

#include <opensend/plugin.h>

#include "kernel/base/guarded.h"
#include "kernel/http/server.h"
#include "tests/unit/plugin/host_fixture.h"

namespace opensend::plugin {
namespace {

using model::KvVerdict;

/// The rules of the interface in memory.
class MemoryKv final : public model::KvStore {
public:
    std::optional<model::KvEntry> Get(std::string_view space, std::string_view key) override {
        return rows.With([&](auto& all) -> std::optional<model::KvEntry> {
            const auto found = all.find(Name(space, key));
            if (found == all.end()) return std::nullopt;
            return found->second;
        });
    }
    KvVerdict Put(
        std::string_view space,
        std::string_view key,
        std::string_view value,
        uint64_t expected,
        std::chrono::nanoseconds,
        uint64_t quota
    ) override {
        return rows.With([&](auto& all) {
            if (value.size() > quota) return KvVerdict::kOverQuota;
            auto& row = all[Name(space, key)];
            if (row.version != expected) return KvVerdict::kConflict;
            row = {std::string(value), expected + 1};
            return KvVerdict::kDone;
        });
    }
    KvVerdict Delete(std::string_view, std::string_view, uint64_t) override {
        return KvVerdict::kNotFound;
    }
    static std::string Name(std::string_view space, std::string_view key) {
        return std::string(space) + "|" + std::string(key);
    }
    base::Guarded<std::map<std::string, model::KvEntry>> rows;
};

/// Each service for a plugin in the server and for one in a process of its own.
class ServicesTest : public HostFixture, public testing::WithParamInterface<const char*> {
protected:
    ServicesTest()
        : client(egress::Client::Options{}),
          server(
              Options(),
              [](const http::Request&) { return http::HeadVerdict{}; },
              [](http::Request&& request, const http::Reply& reply) {
                  http::Response response;
                  response.body = "saw " + request.path;
                  if (request.path == "/large") response.body.assign(100'000, 'x');
                  reply(std::move(response));
              },
              [](int status, std::string_view, std::string_view) {
                  http::Response response;
                  response.status = status;
                  return response;
              }
          ),
          origin("http://127.0.0.1:" + std::to_string(server.port())) {
        config.worker_path = OPENSEND_BINARY_DIR "/bin/opensend-plugin-worker";
        deps.kv = &kv;
        deps.http = &client;
    }
    ~ServicesTest() override { host.reset(); }
    static http::ServerOptions Options() {
        http::ServerOptions options;
        options.reactors = 1;
        options.handler_threads = 1;
        return options;
    }
    void StartMoody(std::optional<Grants> grants, const std::string& json = "{}") {
        config.plugins = {
            {"moody", "", "", false, "{}", GetParam(), std::move(grants)}
        };
        config.transports = {
            {"t", "", "moody", json}
        };
        host = std::make_unique<Host>(config, deps);
        ASSERT_NE(host->FindTransport("t"), nullptr) << host->transports()[0].problem;
    }
    MemoryKv kv;
    egress::Client client;
    http::Server server;
    const std::string origin;
};

INSTANTIATE_TEST_SUITE_P(
    Everywhere,
    ServicesTest,
    testing::Values("inproc", "worker"),
    [](const auto& place) { return std::string(place.param); }
);

TEST_P(ServicesTest, WithoutGrantsThereIsNoService) {
    // Its manifest asks; nobody gave.
    StartMoody(std::nullopt);
    EXPECT_EQ(Say("kv").diagnostic, "none");
    EXPECT_EQ(Say("timer").diagnostic, "no");
    EXPECT_EQ(Say("http " + origin + "/").diagnostic, "none");
    EXPECT_EQ(Say("event").diagnostic, "no");
}

TEST_P(ServicesTest, AValueIsStoredUnderItsVersionWithinTheQuota) {
    Grants grants;
    grants.kv_bytes = 4096;
    grants.timers = true;
    StartMoody(grants);
    EXPECT_EQ(Say("timer").diagnostic, "yes");
    EXPECT_EQ(Say("kv").diagnostic, "0 -11 0 0 -11 -12 -1 0 three");
    EXPECT_EQ(kv.Get("transport.t", "k")->value, "three") << "a space of its own";
}

TEST_P(ServicesTest, OnlyAGrantedOriginIsCalled) {
    Grants grants;
    grants.http = {origin};
    StartMoody(grants);
    EXPECT_EQ(Say("http " + origin + "/path").diagnostic, "0 200 saw /path");
    const std::string denied = "refused " + std::to_string(OSP_E_DENIED);
    const auto port = std::to_string(server.port());
    EXPECT_EQ(Say("http http://127.0.0.2:" + port + "/").diagnostic, denied);
    EXPECT_EQ(Say("http http://localhost:" + port + "/").diagnostic, denied);
    EXPECT_EQ(Say("http https://127.0.0.1:" + port + "/").diagnostic, denied);
    EXPECT_EQ(Say("http http://127.0.0.1:1/").diagnostic, denied);
    EXPECT_EQ(Say("http not a url").diagnostic, "refused " + std::to_string(OSP_E_INVALID));
}

TEST_P(ServicesTest, AnAnswerBeyondTheCapIsAFailure) {
    Grants grants;
    grants.http = {origin};
    StartMoody(grants);
    EXPECT_EQ(Say("http " + origin + "/large").diagnostic, std::to_string(OSP_E_TOOBIG));
}

TEST_P(ServicesTest, AGrantedNameMustNotLeadToARefusedAddress) {
    Grants grants;
    grants.http = {"http://inside.example:" + std::to_string(server.port())};
    const egress::Guard guard({}, {});
    deps.guard = &guard;
    deps.resolve = [](const std::string&) {
        return std::optional(std::vector<base::IpAddress>{*base::ParseIp("127.0.0.1")});
    };
    StartMoody(grants);
    EXPECT_EQ(Say("http " + grants.http[0] + "/").diagnostic, std::to_string(OSP_E_UNAVAILABLE));
}

TEST_P(ServicesTest, ASecretIsReadByTheOneItIsMeantFor) {
    deps.secret = [](std::string_view ref) -> std::optional<base::Secret> {
        return base::Secret("value of " + std::string(ref));
    };
    Grants grants;
    grants.secrets = {"acme/*"};
    StartMoody(grants, R"({"password":{"$secret":"env:MINE"}})");
    EXPECT_EQ(Say("secret env:MINE").diagnostic, "value of env:MINE");
    EXPECT_EQ(Say("secret secret:acme/prod").diagnostic, "value of secret:acme/prod");
    for (const char* ref : {"env:OTHER", "secret:other", "file:/etc/passwd", "file:acme/x"})
        EXPECT_EQ(Say(std::string("secret ") + ref).diagnostic, std::to_string(OSP_E_DENIED));
}

TEST_P(ServicesTest, AnAnswerThatComesForADeadProcessIsDropped) {
    if (std::string(GetParam()) == "inproc") return;  // there the server would be dead
    Grants grants;
    grants.http = {origin};
    config.plugins = {
        {"hostile", "", "", false, "{}", "worker", grants}
    };
    config.transports = {
        {"t", "hostile", "", R"({"do":"leave","url":")" + origin + R"(/"})"}
    };
    host = std::make_unique<Host>(config, deps);
    for (int i = 0; i < 2; ++i)
        EXPECT_NE(Deliver(*host->FindTransport("t"))[0][0].result, model::ResultClass::kProtocol);
    EXPECT_GE(Status().worker.value().deaths, 1u);
}

}  // namespace
}  // namespace opensend::plugin
