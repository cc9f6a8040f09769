#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include <gmock/gmock.h>

#include "tests/unit/plugin/host_fixture.h"

namespace opensend::plugin {
namespace {

using model::ResultClass;
using testing::HasSubstr;
namespace fs = std::filesystem;

class ReloadTest : public HostFixture {
protected:
    void StartMoody() {
        config.plugins = {
            {"moody", "", "", false, "{}"}
        };
        config.transports = {
            {"t", "", "moody", R"({"name":"first"})"}
        };
        host = std::make_unique<Host>(config, deps);
        ASSERT_NE(host->FindTransport("t"), nullptr);
    }
    std::string ResultOf(const std::string& plugin, const std::vector<ReloadLine>& lines) {
        for (const auto& line : lines) {
            if (line.plugin == plugin) return line.result + line.problem;
        }
        return "no line";
    }
    std::string Reload(const std::string& plugin = "moody") {
        return ResultOf(plugin, host->Reload(config));
    }
    std::string Serving() { return Say("ok").remote_id; }
};

TEST_F(ReloadTest, WhatDidNotChangeStays) {
    StartMoody();
    EXPECT_EQ(Reload(), "unchanged");
    EXPECT_EQ(Status().generation, 1u);
}

TEST_F(ReloadTest, ANewConfigurationTakesOverAndWhatIsUnderWayEnds) {
    StartMoody();
    auto* transport = host->FindTransport("t");
    std::vector<model::DeliveryResult> slow;
    std::thread sender([&] { slow = Deliver(*transport, 2, 5000, 1, "hang"); });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    config.transports[0].config_json = R"({"name":"second"})";
    EXPECT_EQ(Reload(), "replaced");
    sender.join();
    for (const auto& result : slow) {
        EXPECT_EQ(result[0].result, ResultClass::kOk);
        EXPECT_EQ(result[0].remote_id, R"({"name":"first"})");
    }
    EXPECT_EQ(host->FindTransport("t"), transport);
    EXPECT_EQ(Serving(), R"({"name":"second"})");
    EXPECT_EQ(Status().generation, 2u);
}

TEST_F(ReloadTest, AConfigurationThatDoesNotWorkKeepsTheOld) {
    StartMoody();
    config.transports[0].config_json = R"({"name":"refuse"})";
    EXPECT_THAT(Reload(), HasSubstr("kepttransport.t: create: expected success, found status -2"));
    EXPECT_EQ(Serving(), R"({"name":"first"})");
    config.transports[0].config_json = R"({"name":"unreachable"})";
    EXPECT_THAT(Reload(), HasSubstr("kepttransport.t: probe: expected success"));
    EXPECT_EQ(Serving(), R"({"name":"first"})");
    EXPECT_EQ(Status().state, "running");
}

TEST_F(ReloadTest, APluginMovesWhollyOrNotAtAll) {
    StartMoody();
    config.transports[0].config_json = R"({"name":"second"})";
    config.transports.push_back({"u", "", "moody", "refuse"});
    EXPECT_THAT(Reload(), HasSubstr("kept"));
    EXPECT_EQ(Serving(), R"({"name":"first"})");
    EXPECT_EQ(host->FindTransport("u"), nullptr);
    config.transports[1].config_json = "{}";
    EXPECT_EQ(Reload(), "replaced");
    EXPECT_EQ(Serving(), R"({"name":"second"})");
    EXPECT_NE(host->FindTransport("u"), nullptr);
}

TEST_F(ReloadTest, TransportsComeAndGo) {
    StartMoody();
    auto* transport = host->FindTransport("t");
    const auto both = config.transports;
    config.transports[0].name = "other";
    Reload();
    EXPECT_EQ(host->FindTransport("t"), nullptr);
    EXPECT_NE(host->FindTransport("other"), nullptr);
    EXPECT_EQ(host->transports().size(), 1u);
    EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kNotTried)
        << "a pointer that was kept";
    config.transports = both;
    Reload();
    EXPECT_EQ(host->FindTransport("t"), transport);
    EXPECT_EQ(Say("ok").result, ResultClass::kOk);
    config.transports.push_back({"lost", "", "nobody", "{}"});
    EXPECT_THAT(
        ResultOf("transport.lost", host->Reload(config)), HasSubstr("nobody: name: expected")
    );
    EXPECT_EQ(Say("ok").result, ResultClass::kOk);
}

TEST_F(ReloadTest, PluginsComeAndGo) {
    StartMoody();
    config.plugins.push_back({"null_transport", "", "", false, "{}"});
    config.transports.push_back({"n", "", "null_transport", "{}"});
    EXPECT_EQ(Reload("null_transport"), "added");
    EXPECT_NE(host->FindTransport("n"), nullptr);
    config.plugins.erase(config.plugins.begin());
    EXPECT_EQ(Reload("moody"), "removed");
    EXPECT_EQ(host->FindTransport("t"), nullptr);
    EXPECT_THAT(host->transports()[0].problem, HasSubstr("moody"));
    EXPECT_NE(host->FindTransport("n"), nullptr);
    config.plugins.push_back({"absent", "", "", false, "{}"});
    EXPECT_THAT(Reload("absent"), HasSubstr("keptabsent: open: expected a readable file"));
}

TEST_F(ReloadTest, AnInstanceThatCanIsReconfiguredInPlace) {
    auto* transport = Start("bad_reconfigure");
    ASSERT_NE(transport, nullptr);
    config.transports[0].config_json = R"({"a":1})";
    EXPECT_EQ(Reload("bad_reconfigure"), "reconfigured");
    EXPECT_EQ(Status().generation, 1u);
    config.transports[0].config_json = R"({"a":"refuse"})";
    EXPECT_THAT(
        Reload("bad_reconfigure"), HasSubstr("kepttransport.t: reconfigure: expected success")
    );
    EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kOk);
    config.transports[0].config_json = R"({"a":1})";
    EXPECT_EQ(Reload("bad_reconfigure"), "unchanged");
}

TEST_F(ReloadTest, AnExchangedSecretIsAChange) {
    std::string value = "old";
    deps.secret = [&](std::string_view) { return base::Secret(std::string(value)); };
    StartMoody();
    config.transports[0].config_json = R"({"password":{"$secret":"env:P"}})";
    EXPECT_EQ(Reload(), "replaced");
    EXPECT_EQ(Reload(), "unchanged");
    value = "new";
    EXPECT_EQ(Reload(), "replaced");
}

TEST_F(ReloadTest, AnInstanceThatWasTakenOutComesBackWithAReload) {
    StartMoody();
    Say("body");
    WaitFor("violation");
    EXPECT_EQ(Reload(), "replaced");
    EXPECT_EQ(Say("ok").result, ResultClass::kOk);
    EXPECT_EQ(Status().state, "running");
    EXPECT_EQ(Status().breaker, "closed");
    EXPECT_EQ(Status().violations, 1u) << "it is counted on";
}

TEST_F(ReloadTest, BackendsAreNotExchangedForOthersWhileRunning) {
    StartMoody();
    config.auth_backends = {"moody_auth"};
    EXPECT_THAT(Reload("auth.backends"), HasSubstr("needs a restart"));
}

TEST_F(ReloadTest, NothingIsLostOrDoubledUnderLoad) {
    StartMoody();
    constexpr int kSenders = 4, kEach = 100;
    std::atomic<int> ok{0}, other{0};
    std::vector<std::thread> senders;
    for (int s = 0; s < kSenders; ++s) {
        senders.emplace_back([&] {
            for (int i = 0; i < kEach; ++i) {
                const auto results = Deliver(*host->FindTransport("t"), 5, 5000, 1, "ok");
                for (const auto& result : results)
                    ++(result[0].result == ResultClass::kOk ? ok : other);
            }
        });
    }
    for (int i = 0; i < 20; ++i) {
        config.transports[0].config_json = "{\"n\":" + std::to_string(i) + "}";
        EXPECT_EQ(Reload(), "replaced");
    }
    for (auto& sender : senders) sender.join();
    EXPECT_EQ(ok, kSenders * kEach * 5);
    EXPECT_EQ(other, 0);
    EXPECT_EQ(Status().errors, 0u);
    EXPECT_EQ(Status().generation, 21u);
}

class NewCodeTest : public ReloadTest {
protected:
    NewCodeTest() : folder(fs::path(testing::TempDir()) / ("reload" + std::to_string(getpid()))) {
        fs::remove_all(folder);
        fs::create_directory(folder);
        chmod(folder.c_str(), 0700);
        config.dir = folder;
    }
    ~NewCodeTest() override { fs::remove_all(folder); }
    /// As an installer does it: a new file under the old name.
    void Install(const std::string& built) {
        const fs::path fresh = folder / "fresh";
        fs::copy_file(fs::path(OPENSEND_BINARY_DIR "/plugins_bad") / (built + ".so"), fresh);
        chmod(fresh.c_str(), 0644);
        fs::rename(fresh, folder / "p.so");
    }
    const fs::path folder;
};

TEST_F(NewCodeTest, ANewFileTakesOverAndTheOldOneIsTold) {
    const fs::path trace = OPENSEND_BINARY_DIR "/plugins_bad/unloaded";
    fs::remove(trace);
    Install("bad_unload");
    ASSERT_NE(Start("p"), nullptr);
    EXPECT_EQ(Reload("p"), "unchanged");
    Install("bad_good");
    EXPECT_EQ(Reload("p"), "replaced");
    EXPECT_TRUE(fs::exists(trace)) << "unload() was called";
    EXPECT_EQ(Deliver(*host->FindTransport("t"))[0][0].result, ResultClass::kOk);
    Install("bad_json");
    EXPECT_THAT(Reload("p"), HasSubstr("keptp: manifest"));
    EXPECT_EQ(Deliver(*host->FindTransport("t"))[0][0].result, ResultClass::kOk);
}

TEST_F(NewCodeTest, AfterSixteenContentsOnlyARestartHelps) {
    Install("bad_good");
    ASSERT_NE(Start("p"), nullptr);
    for (int i = 2; i <= 16; ++i) {
        Install("bad_good");
        ASSERT_EQ(Reload("p"), "replaced") << i;
    }
    Install("bad_good");
    EXPECT_THAT(Reload("p"), HasSubstr("restart the server"));
    EXPECT_EQ(Deliver(*host->FindTransport("t"))[0][0].result, ResultClass::kOk);
}

}  // namespace
}  // namespace opensend::plugin
