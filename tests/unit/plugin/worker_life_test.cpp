#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>

#include "kernel/base/guarded.h"
#include "kernel/plugin/worker/sanitizer.h"
#include "kernel/runtime/metrics.h"
#include "tests/unit/plugin/host_fixture.h"

// Plugins in workers as citizens of the registry: defaults, reload, what operators see.
namespace opensend::plugin {
namespace {

using model::ResultClass;
using testing::Contains;
using testing::HasSubstr;
namespace fs = std::filesystem;

class WorkerLifeTest : public HostFixture {
protected:
    WorkerLifeTest() {
        config.worker_path = OPENSEND_BINARY_DIR "/bin/opensend-plugin-worker";
        config.call_timeout = std::chrono::milliseconds(20'000);
        deps.log = [this](int, const std::string& who, std::string_view text, const auto&) {
            lines.With([&](auto& all) { all.push_back(who + " " + std::string(text)); });
        };
    }
    ~WorkerLifeTest() override { host.reset(); }  // it still speaks
    void StartMoody(const std::string& isolation) {
        config.plugins = {
            {"moody", "", "", false, "{}", isolation}
        };
        config.transports = {
            {"t", "", "moody", "{}"}
        };
        host = std::make_unique<Host>(config, deps);
        ASSERT_NE(host->FindTransport("t"), nullptr) << host->transports()[0].problem;
    }
    void StartHostile(const std::string& what) {
        config.plugins = {
            {"hostile", "", "", false, "{}", "worker"}
        };
        config.transports = {
            {"t", "hostile", "", "{\"do\":\"" + what + "\"}"}
        };
        host = std::make_unique<Host>(config, deps);
        ASSERT_NE(host->FindTransport("t"), nullptr) << host->transports()[0].problem;
    }
    std::string Reload(const std::string& plugin) {
        for (const auto& line : host->Reload(config)) {
            if (line.plugin == plugin) return line.result + line.problem;
        }
        return "no line";
    }
    int Pid() { return Status().worker.value().pids.at(0); }

    base::Guarded<std::vector<std::string>> lines;
};

TEST_F(WorkerLifeTest, PluginsOfOthersRunApartWithoutALineAndShippedOnesDoNot) {
    config.plugins = {
        {"null_transport", "", "",                                                       false,   "{}" },
        {"moody",          "", "",                                                       false,   "{}",  "inproc"},
        {"other_limit",                OPENSEND_BINARY_DIR "/plugins/memory_limit.so",      "", false, "{}"}
    };
    host = std::make_unique<Host>(config, deps);
    EXPECT_TRUE(host->plugins()[0].apart);
    EXPECT_FALSE(host->plugins()[1].apart);
    EXPECT_TRUE(host->plugins()[2].apart) << "the name alone makes nobody one of ours";
    config.dir = OPENSEND_BINARY_DIR "/plugins";
    config.plugins = {
        {"capture",      "", "", false, "{}"},
        {"memory_limit", "", "", false, "{}"},
        {"smtp",         "", "", false, "{}"}
    };
    host = std::make_unique<Host>(config, deps);
    for (const auto& plugin : host->plugins()) {
        EXPECT_TRUE(plugin.up) << plugin.problem;
        EXPECT_FALSE(plugin.apart) << plugin.name;
    }
}

TEST_F(WorkerLifeTest, APluginThatNamesTheServerOnlyIsNotLetIntoItByItself) {
    config.plugins = {
        {"bad_place", "", "", false, "{}"}
    };
    host = std::make_unique<Host>(config, deps);
    EXPECT_EQ(
        Problem(),
        "bad_place: isolation: expected plugins.bad_place.isolation = inproc, the one its manifest "
        "names, found worker by default"
    );
    config.plugins[0].isolation = "inproc";
    host = std::make_unique<Host>(config, deps);
    EXPECT_EQ(Problem(), "");
}

TEST_F(WorkerLifeTest, TheGateStandsBeforeTheProcess) {
    StartMoody("worker");
    config.plugins.push_back({"bad_magic", "", "", false, "{}", "worker"});
    config.plugins.push_back({"null_transport", "", std::string(64, '0'), false, "{}", "worker"});
    config.plugins.push_back({"bad_lazy", "", "", false, "{}", "worker"});
    host = std::make_unique<Host>(config, deps);
    EXPECT_THAT(host->plugins()[2].problem, HasSubstr("null_transport: sha256: expected 0000"));
    EXPECT_THAT(host->plugins()[3].problem, HasSubstr("bad_lazy: "));
    for (size_t i = 1; i < 4; ++i) EXPECT_FALSE(host->plugins()[i].up);
}

TEST_F(WorkerLifeTest, AConfigurationThatBreaksTheSchemaReachesNoProcess) {
    config.plugins = {
        {"bad_schema", "", "", false, "{}", "worker"}
    };
    config.transports = {
        {"t", "", "bad_schema", R"({"size":"many"})"}
    };
    host = std::make_unique<Host>(config, deps);
    EXPECT_THAT(host->transports()[0].problem, HasSubstr("transport.t: config: "));
    EXPECT_EQ(Status().worker.value().starts, 0u);
}

TEST_F(WorkerLifeTest, TheStatusNamesTheProcess) {
    StartMoody("worker");
    EXPECT_EQ(Say("ok").result, ResultClass::kOk);
    const auto status = Status();
    EXPECT_EQ(status.isolation, "worker");
    EXPECT_EQ(status.state, "running");
    EXPECT_EQ(status.why, "");
    EXPECT_EQ(status.worker.value().starts, 1u);
    EXPECT_EQ(status.worker->deaths, 0u);
    EXPECT_GT(status.worker->memory, 1u << 20);
    EXPECT_TRUE(fs::exists("/proc/" + std::to_string(Pid())));
    host->PublishMetrics();
    const std::string text = runtime::MetricsText();
    EXPECT_THAT(text, HasSubstr("opensend_plugin_worker_processes{instance=\"transport.t\"} 1\n"));
    EXPECT_THAT(
        text,
        HasSubstr("opensend_plugin_worker_events_total{instance=\"transport.t\",event=\"start\"}")
    );
}

TEST_F(WorkerLifeTest, AnInstanceEndsInOrderAndItsProcessWithIt) {
    StartHostile("");
    const int pid = Pid();
    host.reset();
    lines.With([](auto& all) { EXPECT_THAT(all, Contains("transport.t stopped")); });
    EXPECT_FALSE(fs::exists("/proc/" + std::to_string(pid)));
}

TEST_F(WorkerLifeTest, IsolationIsExchangedWhileMailFlows) {
    StartMoody("inproc");
    constexpr int kSenders = 2, kEach = 60;
    std::atomic<int> ok{0}, other{0};
    std::vector<std::thread> senders;
    for (int s = 0; s < kSenders; ++s) {
        senders.emplace_back([&] {
            for (int i = 0; i < kEach; ++i) {
                for (const auto& result : Deliver(*host->FindTransport("t"), 5, 15'000, 1, "ok"))
                    ++(result[0].result == ResultClass::kOk ? ok : other);
            }
        });
    }
    for (int i = 0; i < 6; ++i) {
        const std::string place = i % 2 == 0 ? "worker" : "inproc";
        config.plugins[0].isolation = place;
        EXPECT_EQ(Reload("moody"), "replaced");
        EXPECT_EQ(Status().isolation, place);
        EXPECT_EQ(Status().worker.has_value(), place == "worker");
    }
    for (auto& sender : senders) sender.join();
    EXPECT_EQ(ok, kSenders * kEach * 5);
    EXPECT_EQ(other, 0);
    EXPECT_EQ(Status().generation, 7u);
}

TEST_F(WorkerLifeTest, ANewConfigurationIsANewProcess) {
    StartMoody("worker");
    const int before = Pid();
    EXPECT_EQ(Reload("moody"), "unchanged");
    EXPECT_EQ(Pid(), before);
    config.transports[0].config_json = R"({"name":"refuse"})";
    EXPECT_THAT(Reload("moody"), HasSubstr("kepttransport.t: create: expected success, found"));
    EXPECT_EQ(Pid(), before);
    config.transports[0].config_json = R"({"name":"second"})";
    EXPECT_EQ(Reload("moody"), "replaced");
    EXPECT_NE(Pid(), before);
    EXPECT_EQ(Say("ok").remote_id, R"({"name":"second"})");
    EXPECT_FALSE(fs::exists("/proc/" + std::to_string(before)));
    config.plugins[0].memory = uint64_t{1} << 30;
    EXPECT_EQ(Reload("moody"), "replaced");
}

TEST_F(WorkerLifeTest, AnInstanceThatCanIsReconfiguredInItsProcess) {
    config.plugins = {
        {"bad_reconfigure", "", "", false, "{}", "worker"}
    };
    config.transports = {
        {"t", "", "bad_reconfigure", "{}"}
    };
    host = std::make_unique<Host>(config, deps);
    const int before = Pid();
    config.transports[0].config_json = R"({"a":1})";
    EXPECT_EQ(Reload("bad_reconfigure"), "reconfigured");
    EXPECT_EQ(Pid(), before);
    config.transports[0].config_json = R"({"a":"refuse"})";
    EXPECT_THAT(Reload("bad_reconfigure"), HasSubstr("reconfigure: expected success"));
}

TEST_F(WorkerLifeTest, ContentsOfAWorkerAreNotCounted) {
    const fs::path folder = fs::path(testing::TempDir()) / ("worker" + std::to_string(getpid()));
    fs::remove_all(folder);
    fs::create_directory(folder);
    chmod(folder.c_str(), 0700);
    config.dir = folder;
    const auto install = [&](const std::string& built) {
        fs::copy_file(
            fs::path(OPENSEND_BINARY_DIR "/plugins_bad") / (built + ".so"), folder / "fresh"
        );
        chmod((folder / "fresh").c_str(), 0644);
        fs::rename(folder / "fresh", folder / "p.so");
    };
    install("bad_good");
    config.plugins = {
        {"p", "", "", false, "{}", "worker"}
    };
    config.transports = {
        {"t", "", "p", "{}"}
    };
    host = std::make_unique<Host>(config, deps);
    for (int i = 0; i < 18; ++i) {
        install(i % 2 == 0 ? "bad_second" : "bad_good");
        ASSERT_EQ(Reload("p"), "replaced") << i;
    }
    install("bad_json");
    EXPECT_THAT(Reload("p"), HasSubstr("keptp: manifest"));
    EXPECT_EQ(Deliver(*host->FindTransport("t"))[0][0].result, ResultClass::kOk);
    // What was checked is what is started again, whatever became of the file.
    fs::remove(folder / "p.so");
    kill(Pid(), SIGKILL);
    ResultClass last = ResultClass::kNotTried;
    for (int i = 0; i < 400 && (last == ResultClass::kNotTried || Status().worker->deaths == 0);
         ++i) {
        last = Deliver(*host->FindTransport("t"))[0][0].result;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(last, ResultClass::kOk);
    fs::remove_all(folder);
}

TEST_F(WorkerLifeTest, ARestOpensTheBreakerAndAnOperatorCanEndIt) {
    config.worker_patience.rest = std::chrono::milliseconds(60'000);
    StartHostile("exit");
    auto* transport = host->FindTransport("t");
    for (int i = 0; i < 400 && Status().worker->deaths < 3; ++i) {
        Deliver(*transport);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const auto status = Status();
    EXPECT_EQ(status.breaker, "open");
    EXPECT_EQ(status.state, "running");
    if (OPENSEND_SANITIZER == 0) {
        EXPECT_EQ(status.why, "its worker is away: exited with status 7");
    }
    EXPECT_GT(status.worker->rests, std::chrono::milliseconds(50'000));
    EXPECT_TRUE(status.worker->pids.empty());
    EXPECT_EQ(Deliver(*transport, 1, 5000, 2)[0][0].result, ResultClass::kNotTried);
    config.transports[0].config_json = R"({"do":"nothing"})";
    EXPECT_EQ(Reload("hostile"), "replaced");
    EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kOk);
    EXPECT_EQ(Status().breaker, "closed");
    EXPECT_EQ(Status().worker->deaths, 3u) << "they are counted on";
}

TEST_F(WorkerLifeTest, CallsThatHangDoNotEndTheInstanceButItsProcess) {
    StartHostile("block");
    auto* transport = host->FindTransport("t");
    const auto results = Deliver(*transport, 12, 400);
    for (const auto& result : results) EXPECT_NE(result[0].result, ResultClass::kOk);
    for (int i = 0; i < 500 && Status().worker->deaths == 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(Status().worker->last_death, "no answer to 3 calls");
    EXPECT_EQ(Status().state, "running");
}

TEST_F(WorkerLifeTest, AnEndingServerDoesNotWaitForACallThatHangs) {
    config.call_timeout = std::chrono::milliseconds(500);
    StartHostile("block");
    auto* transport = host->FindTransport("t");
    std::atomic<int> answers{0};
    auto message = std::make_shared<model::OutgoingMessage>();
    message->recipients = {"a@x.example"};
    message->data = "Subject: x\r\n\r\n";
    message->attempt = 1;
    message->deadline = clock.Mono() + std::chrono::minutes(10);
    transport->Deliver({message}, [&](size_t, const model::DeliveryResult& result) {
        EXPECT_EQ(result[0].result, ResultClass::kOkUnknown);
        ++answers;
    });
    for (int i = 0; i < 200 && Status().calls == 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const int pid = Pid();
    const auto before = clock.Mono();
    host.reset();
    EXPECT_LT(clock.Mono() - before, std::chrono::seconds(15));
    EXPECT_EQ(answers, 1);
    EXPECT_FALSE(fs::exists("/proc/" + std::to_string(pid)));
}

}  // namespace
}  // namespace opensend::plugin
