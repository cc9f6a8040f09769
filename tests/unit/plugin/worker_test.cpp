#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <gmock/gmock.h>

#include "kernel/base/guarded.h"
#include "kernel/plugin/worker/sanitizer.h"
#include "tests/unit/plugin/host_fixture.h"

namespace opensend::plugin {
namespace {

using model::ResultClass;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr bool kSanitizer = OPENSEND_SANITIZER != 0;

/// Plugins of the build's plugins_bad folder, each instance in its own process.
class WorkerTest : public HostFixture {
protected:
    WorkerTest() {
        config.worker_path = OPENSEND_BINARY_DIR "/bin/opensend-plugin-worker";
        config.worker_patience.heartbeat = std::chrono::milliseconds(kSanitizer ? 6000 : 1500);
        config.worker_patience.rest = std::chrono::milliseconds(300);
        config.call_timeout = std::chrono::milliseconds(20'000);
        deps.secret = [](std::string_view name) -> std::optional<base::Secret> {
            if (name != "relay") return std::nullopt;
            return base::Secret("open sesame");
        };
        deps.log =
            [this](int, const std::string& instance, std::string_view text, const auto& fields) {
                lines.With([&](auto& all) {
                    all.push_back(instance + " " + std::string(text) + " " + fields.at(0).second);
                });
            };
    }
    ~WorkerTest() override { host.reset(); }  // it still speaks
    void Enable(const std::string& name, const Grants& grants = {}) {
        PluginConfig plugin{name, "", "", false, "{}", "worker", grants};
        plugin.memory = uint64_t{256} << 20;
        config.plugins.push_back(plugin);
    }
    model::Transport* StartDoing(const std::string& what, const std::string& kind = "hostile") {
        Grants grants;
        grants.timers = true;
        Enable("hostile", grants);
        const std::string json = R"({"key":{"$secret":"relay"},"do":")" + what + "\"}";
        config.transports.push_back({"t", kind, "", json});
        host = std::make_unique<Host>(config, deps);
        return host->FindTransport("t");
    }
    WorkerStatus Health(const std::string& name = "transport.t") {
        return Status(name).worker.value();
    }
    /// Delivers good messages until one is taken.
    ResultClass DeliverGood(model::Transport& transport) {
        ResultClass last = ResultClass::kNotTried;
        for (int i = 0; i < 400 && last == ResultClass::kNotTried; ++i) {
            last = Deliver(transport, 1, 10'000, 2)[0][0].result;
            if (last == ResultClass::kNotTried)
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        return last;
    }

    base::Guarded<std::vector<std::string>> lines;
};

struct Death {
    const char* what;
    const char* reason;
};

class WorkerDies : public WorkerTest, public testing::WithParamInterface<Death> {};

TEST_P(WorkerDies, TheProcessEndsAloneAndAnotherTakesOver) {
    auto* transport = StartDoing(GetParam().what);
    ASSERT_NE(transport, nullptr) << host->transports()[0].problem;
    const auto result = Deliver(*transport, 1, 15'000)[0][0];
    EXPECT_EQ(result.result, ResultClass::kOkUnknown);
    EXPECT_THAT(result.diagnostic, StartsWith("the plugin's worker ended: "));
    if (!kSanitizer) {
        EXPECT_EQ(Health().last_death, GetParam().reason);
    }
    EXPECT_EQ(Health().deaths, 1u);
    EXPECT_EQ(Health().indeterminate, 1u);
    EXPECT_EQ(DeliverGood(*transport), ResultClass::kOk);
    EXPECT_EQ(Health().pids.size(), 1u);
    EXPECT_EQ(Health().starts, 2u);
}

std::vector<Death> Deaths() {
    std::vector<Death> all = {
        {"segfault", "killed by SIGSEGV"        },
        {"abort",    "killed by SIGABRT"        },
        {"exit",     "exited with status 7"     },
        {"throw",    "killed by SIGABRT"        },
        {"fork",     "killed by SIGSYS (clone)" },
        {"thread",   "killed by SIGSYS"         },
        {"socket",   "killed by SIGSYS (socket)"},
        {"exec",     "killed by SIGSYS (execve)"},
        {"ptrace",   "killed by SIGSYS (ptrace)"},
        {"kill",     "killed by SIGSYS (kill)"  },
        {"handler",  "killed by SIGSYS"         },
    };
    // The runtime of a sanitizer opens files itself.
    if (!kSanitizer) all.push_back({"open", "killed by SIGSYS (openat)"});
    return all;
}

INSTANTIATE_TEST_SUITE_P(All, WorkerDies, testing::ValuesIn(Deaths()), [](const auto& one) {
    return std::string(one.param.what);
});

// The runtime of a sanitizer needs the whole address space.
#if !OPENSEND_SANITIZER
TEST_F(WorkerTest, MemoryBeyondItsShareEndsOnlyTheWorker) {
    for (const char* what : {"leak", "leak_malloc"}) {
        config.plugins = {};
        config.transports = {};
        auto* transport = StartDoing(what);
        EXPECT_EQ(Deliver(*transport, 1, 15'000)[0][0].result, ResultClass::kOkUnknown);
        EXPECT_EQ(Health().last_death, "out of memory") << what;
        EXPECT_EQ(DeliverGood(*transport), ResultClass::kOk);
    }
}
#endif

TEST_F(WorkerTest, ASpinningStrandIsFoundByItsHeartbeat) {
    auto* transport = StartDoing("spin", "hostile_async");
    const auto result = Deliver(*transport, 1, 15'000)[0][0];
    EXPECT_EQ(result.result, ResultClass::kOkUnknown);
    EXPECT_EQ(Health().last_death, "no heartbeat");
    EXPECT_EQ(DeliverGood(*transport), ResultClass::kOk);
}

TEST_F(WorkerTest, ThreeCallsWithoutAnAnswerEndAWorker) {
    for (const char* what : {"block", "spin"}) {
        config.plugins = {};
        config.transports = {};
        auto* transport = StartDoing(what);
        for (int i = 0; i < 3; ++i) {
            const auto result = Deliver(*transport, 1, 300)[0][0];
            EXPECT_THAT(result.result, AnyOf(ResultClass::kOkUnknown, ResultClass::kNotTried));
        }
        for (int i = 0; i < 500 && Health().deaths == 0; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        EXPECT_EQ(Health().last_death, "no answer to 3 calls");
        EXPECT_EQ(DeliverGood(*transport), ResultClass::kOk);
    }
}

TEST_F(WorkerTest, ClosedDescriptorsHurtTheWorkerOnly) {
    auto* transport = StartDoing("close");
    EXPECT_THAT(
        Deliver(*transport, 1, 10'000)[0][0].result,
        AnyOf(ResultClass::kOk, ResultClass::kOkUnknown)
    );
    for (int i = 0; i < 500 && Health().deaths == 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(Health().deaths, 1u);
    EXPECT_EQ(DeliverGood(*transport), ResultClass::kOk);
}

TEST_F(WorkerTest, TokensAreHonouredOnceOnTimeAndOnlyWhenGivenOut) {
    auto* twice = StartDoing("twice");
    EXPECT_EQ(Deliver(*twice, 1)[0][0].result, ResultClass::kOk);
    for (int i = 0; i < 200 && Status().twice < 1; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(Status().twice, 1u);

    config.plugins = {};
    config.transports = {};
    auto* strangers = StartDoing("strangers");
    EXPECT_EQ(Deliver(*strangers, 1)[0][0].result, ResultClass::kOk);
    EXPECT_EQ(Status().unknown, 3u);

    config.plugins = {};
    config.transports = {};
    auto* late = StartDoing("late");
    EXPECT_EQ(Deliver(*late, 1, 100)[0][0].result, ResultClass::kOkUnknown);
    for (int i = 0; i < 200 && Status().late == 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(Status().late, 1u);
    EXPECT_EQ(Health().deaths, 0u);
}

TEST_F(WorkerTest, ABlockingPluginThatGivesNoAnswerLeavesTheMessageUnknown) {
    auto* transport = StartDoing("silent");
    const auto result = Deliver(*transport, 1)[0][0];
    EXPECT_EQ(result.result, ResultClass::kOkUnknown);
    EXPECT_EQ(result.diagnostic, "the plugin gave no answer");
}

TEST_F(WorkerTest, TheEnvironmentOfTheServerIsNotThere) {
    setenv("OPENSEND_TEST_CANARY", "7f3c", 1);
    auto* transport = StartDoing("environment");
    EXPECT_EQ(Deliver(*transport)[0][0].remote_id, "LC_ALL=C.UTF-8;");
    unsetenv("OPENSEND_TEST_CANARY");
}

TEST_F(WorkerTest, ServicesOfTheHostAreThereAndOthersAreNot) {
    auto* transport = StartDoing("services");
    EXPECT_EQ(Deliver(*transport)[0][0].remote_id.substr(0, 2), "++");
    EXPECT_EQ(Deliver(*transport)[0][0].remote_id.substr(4), "--");
}

TEST_F(WorkerTest, ASecretIsFetchedFromTheHost) {
    EXPECT_EQ(Deliver(*StartDoing("secret"))[0][0].remote_id, "open sesame");
}

TEST_F(WorkerTest, NumbersAndLinesArriveAtTheHost) {
    for (const char* kind : {"hostile", "hostile_async"}) {
        config.plugins = {};
        config.transports = {};
        lines.With([](auto& all) { all.clear(); });
        auto* transport = StartDoing("metric", kind);
        EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kOk);
        ASSERT_EQ(host->metrics().size(), 1u);
        EXPECT_EQ(host->metrics()[0].value, 5);
        lines.With([](auto& all) { EXPECT_THAT(all, testing::Contains("transport.t counted 5")); });
    }
}

TEST_F(WorkerTest, ATimerFiresInTheWorker) {
    auto* transport = StartDoing("timer", "hostile_async");
    EXPECT_EQ(Deliver(*transport)[0][0].remote_id, "from a timer");
}

TEST_F(WorkerTest, LongAnswersAndLargeMessagesPass) {
    auto* transport = StartDoing("long");
    EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kOk);
    auto message = std::make_shared<model::OutgoingMessage>();
    message->id = "large";
    message->recipients = {"a@x.example"};
    message->data = std::string(size_t{20} << 20, 'x');
    message->attempt = 2;
    message->deadline = clock.Mono() + std::chrono::seconds(15);
    // More together than one frame holds.
    std::vector<std::shared_ptr<const model::OutgoingMessage>> batch(4, message);
    base::Mutex mutex;
    base::CondVar changed;
    size_t good = 0, all = 0;
    transport->Deliver(batch, [&](size_t, model::DeliveryResult result) {
        base::MutexLock lock(mutex);
        EXPECT_EQ(result[0].diagnostic, "");
        if (result[0].result == ResultClass::kOk) ++good;
        ++all;
        changed.NotifyAll();
    });
    base::MutexLock lock(mutex);
    while (all < 4) changed.Wait(lock);
    EXPECT_EQ(good, 4u);
}

TEST_F(WorkerTest, AThreadIsAllowedWhenItIsGranted) {
    Grants grants;
    grants.threads = 1;
    Enable("hostile", grants);
    config.transports.push_back({"t", "hostile", "", R"({"do":"thread"})"});
    host = std::make_unique<Host>(config, deps);
    EXPECT_EQ(Deliver(*host->FindTransport("t"))[0][0].result, ResultClass::kOk);
}

TEST_F(WorkerTest, ExamplesOfBothLanguagesWorkUnchanged) {
    for (const char* name : {"echo_transport", "null_transport"}) {
        config.plugins = {};
        config.transports = {
            {"t", "", name, "{}"}
        };
        Enable(name);
        host = std::make_unique<Host>(config, deps);
        auto* transport = host->FindTransport("t");
        ASSERT_NE(transport, nullptr) << host->transports()[0].problem;
        for (const auto& result : Deliver(*transport, 40))
            EXPECT_EQ(result.at(1).result, ResultClass::kOk);
    }
}

TEST_F(WorkerTest, ARefusedFileHasTheLineItHasInTheServer) {
    Enable("bad_magic");
    Enable("bad_undefined");
    host = std::make_unique<Host>(config, deps);
    EXPECT_EQ(
        Problem(), "bad_magic: descriptor: expected the magic number OSP1, found another one"
    );
    EXPECT_THAT(host->plugins()[1].problem, HasSubstr("nobody_defines_this"));
    config.worker_path = "/nowhere/worker";
    host = std::make_unique<Host>(config, deps);
    EXPECT_EQ(
        Problem(),
        "bad_magic: worker: expected the program /nowhere/worker, found No such file or directory"
    );
}

TEST_F(WorkerTest, ADeathInCreateKeepsTheTransportOffAndSaysWhy) {
    EXPECT_EQ(StartDoing("create"), nullptr);
    const std::string problem = host->transports()[0].problem;
    EXPECT_THAT(problem, HasSubstr("create: expected success, found"));
    if (!kSanitizer) {
        EXPECT_THAT(problem, HasSubstr("killed by SIGSEGV"));
    }
}

TEST_F(WorkerTest, AGoodPluginGoesOnBesideABadOne) {
    Enable("hostile");
    Enable("null_transport");
    config.transports.push_back({"bad", "hostile", "", R"({"do":"segfault"})"});
    config.transports.push_back({"good", "null", "", "{}"});
    host = std::make_unique<Host>(config, deps);
    auto* bad = host->FindTransport("bad");
    auto* good = host->FindTransport("good");
    for (int i = 0; i < 300 && Health("transport.bad").deaths < 3; ++i) {
        Deliver(*bad, 2, 5000);
        for (const auto& result : Deliver(*good, 10)) EXPECT_EQ(result[0].result, ResultClass::kOk);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_GE(Health("transport.bad").deaths, 3u);
    EXPECT_EQ(Health("transport.good").deaths, 0u);
}

TEST_F(WorkerTest, AfterThreeDeathsItRestsAndThenTriesOneCall) {
    auto* transport = StartDoing("exit");
    int refused = 0;
    for (int i = 0; i < 400 && Health().deaths < 3; ++i) {
        if (Deliver(*transport)[0][0].result == ResultClass::kNotTried)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    EXPECT_EQ(Health().deaths, 3u);
    EXPECT_GT(Health().rests.count(), 0);
    const auto result = Deliver(*transport, 1, 5000, 2)[0][0];
    EXPECT_EQ(result.result, ResultClass::kNotTried);
    EXPECT_EQ(result.diagnostic, "the plugin's worker is away: exited with status 7");
    refused += result.result == ResultClass::kNotTried ? 1 : 0;
    EXPECT_EQ(DeliverGood(*transport), ResultClass::kOk);
    EXPECT_EQ(DeliverGood(*transport), ResultClass::kOk);
    EXPECT_EQ(Health().rests.count(), 0);
    EXPECT_EQ(refused, 1);
}

TEST_F(WorkerTest, KilledAgainAndAgainEachMessageIsStillAnsweredOnce) {
    Enable("echo_transport");
    config.worker_patience.rest = std::chrono::milliseconds(20);
    config.transports.push_back({"t", "echo", "", "{}"});
    host = std::make_unique<Host>(config, deps);
    auto* transport = host->FindTransport("t");
    ASSERT_NE(transport, nullptr);
    std::atomic<bool> over{false};
    std::thread killer([&] {
        while (!over) {
            for (const int pid : Health().pids) kill(pid, SIGKILL);
            std::this_thread::sleep_for(std::chrono::milliseconds(60));
        }
    });
    size_t delivered = 0, queued = 0, unknown = 0, other = 0;
    for (int round = 0; round < 50; ++round) {
        for (const auto& result : Deliver(*transport, 10, 10'000, 2)) {
            const auto verdict = result.at(0).result;
            if (verdict == ResultClass::kOk)
                ++delivered;
            else if (verdict == ResultClass::kNotTried)
                ++queued;
            else if (verdict == ResultClass::kOkUnknown)
                ++unknown;
            else
                ++other;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    over = true;
    killer.join();
    EXPECT_EQ(delivered + queued + unknown, 500u);
    EXPECT_EQ(other, 0u);
    EXPECT_EQ(unknown, Health().indeterminate);
    EXPECT_GT(Health().deaths, 0u);
    EXPECT_EQ(DeliverGood(*transport), ResultClass::kOk);
}

TEST_F(WorkerTest, ALimiterAnswersFromAWorker) {
    config.dir = OPENSEND_BINARY_DIR "/plugins";
    Enable("memory_limit");
    config.ratelimit_backend = "memory";
    host = std::make_unique<Host>(config, deps);
    auto* limiter = host->limiter();
    ASSERT_NE(limiter, nullptr) << Problem();
    const std::vector<model::RateBucket> buckets = {
        {"k", 1'000'000, 2'000'000, 1}
    };
    EXPECT_TRUE(limiter->Acquire(buckets, false).allowed);
    EXPECT_TRUE(limiter->Acquire(buckets, false).allowed);
    const auto third = limiter->Acquire(buckets, false);
    EXPECT_FALSE(third.allowed);
    EXPECT_FALSE(third.store_failed);
    limiter->Refund(buckets);
    EXPECT_TRUE(limiter->Acquire(buckets, false).allowed);
}

}  // namespace
}  // namespace opensend::plugin
