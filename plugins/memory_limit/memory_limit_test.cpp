#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include <opensend/testing.hpp>

#include "kernel/json/value.h"

namespace {

using osp::testing::FakeHost;
using osp::testing::Plugin;
using osp::testing::Running;

class MemoryLimitTest : public testing::Test {
protected:
    std::vector<osp_rl_res> Acquire(std::vector<osp_rl_req> requests) {
        std::vector<osp_rl_res> results(
            requests.size(), osp_rl_res{sizeof(osp_rl_res), 0, 0, 0, 0, 0, 0}
        );
        EXPECT_EQ(
            table.acquire(
                running.raw(), requests.data(), sizeof(osp_rl_req), results.data(),
                sizeof(osp_rl_res), static_cast<uint32_t>(requests.size()), 1, 0
            ),
            OSP_OK
        );
        return results;
    }
    static osp_rl_req Bucket(
        std::string_view key, uint64_t emission, uint64_t burst, uint32_t cost = 1
    ) {
        return {sizeof(osp_rl_req), 0, 0, cost, 1, 0, osp::Str(key), emission, burst};
    }

    FakeHost host;
    Plugin plugin{OPENSEND_BINARY_DIR "/plugins/memory_limit.so", "memory"};
    Running running{plugin, host};
    const osp_ratelimit_v1& table = plugin.table<osp_ratelimit_v1>();
};

TEST_F(MemoryLimitTest, EveryStepOfTheVectorGivesItsNumbers) {
    std::ifstream file(OPENSEND_SOURCE_DIR "/tests/vectors/gcra.json");
    std::stringstream text;
    text << file.rdbuf();
    const auto document = opensend::json::Document::Parse(text.str(), {32, 100'000, 100'000});
    ASSERT_TRUE(document.ok());
    const auto sequences = document->root().Find("sequences");
    size_t steps_seen = 0;
    for (size_t s = 0; s < sequences.size(); ++s) {
        const auto sequence = sequences.At(s);
        const auto buckets = sequence.Find("buckets");
        const auto steps = sequence.Find("steps");
        const std::string prefix = std::to_string(s) + "/";
        for (size_t i = 0; i < steps.size(); ++i, ++steps_seen) {
            SCOPED_TRACE(
                std::string(sequence.Find("name").AsString()) + " step " + std::to_string(i)
            );
            const auto step = steps.At(i);
            host.now_ns = static_cast<osp_time>(step.Find("now_us").AsInt()) * 1000;
            std::vector<std::string> keys(buckets.size());
            std::vector<osp_rl_req> requests;
            for (size_t b = 0; b < buckets.size(); ++b) {
                keys[b] = prefix + std::string(buckets.At(b).Find("key").AsString());
                requests.push_back(Bucket(
                    keys[b],
                    static_cast<uint64_t>(buckets.At(b).Find("emission_interval_us").AsInt()),
                    static_cast<uint64_t>(buckets.At(b).Find("burst_us").AsInt()),
                    static_cast<uint32_t>(step.Find("costs").At(b).AsInt())
                ));
            }
            const auto results = Acquire(requests);
            uint64_t wait = 0;
            for (size_t b = 0; b < buckets.size(); ++b) {
                const auto expected = step.Find("buckets").At(b);
                EXPECT_EQ(results[b].allowed == 1, step.Find("allowed").AsBool());
                EXPECT_EQ(
                    results[b].remaining, static_cast<uint64_t>(expected.Find("remaining").AsInt())
                );
                EXPECT_EQ(
                    results[b].reset_us, static_cast<uint64_t>(expected.Find("reset_us").AsInt())
                );
                wait = std::max(wait, results[b].retry_after_us);
            }
            EXPECT_EQ(wait, static_cast<uint64_t>(step.Find("retry_after_us").AsInt()));
        }
    }
    EXPECT_EQ(steps_seen, 46u);
}

TEST_F(MemoryLimitTest, PeekChargesNothing) {
    auto request = Bucket("a", 1000, 1000);
    request.flags = OSP_RL_PEEK;
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Acquire({request})[0].allowed, 1);
    EXPECT_EQ(Acquire({Bucket("a", 1000, 1000)})[0].allowed, 1);
    EXPECT_EQ(Acquire({request})[0].allowed, 0);
}

TEST_F(MemoryLimitTest, RefundGivesBackButNeverMoreThanTheBucketHolds) {
    auto request = Bucket("a", 1000, 5000, 5);
    EXPECT_EQ(Acquire({request})[0].remaining, 0u);
    table.refund(running.raw(), &request, sizeof request, 1);
    table.refund(running.raw(), &request, sizeof request, 1);
    EXPECT_EQ(Acquire({Bucket("a", 1000, 5000, 2)})[0].remaining, 3u);
}

TEST_F(MemoryLimitTest, ABucketWhoseNumbersAreRaisedFillsAtItsNewRate) {
    host.now_ns = 0;
    EXPECT_EQ(Acquire({Bucket("a", 3'600'000'000, 36'000'000'000, 10)})[0].remaining, 0u);
    // Ten hours of debt are at most the new burst of five seconds.
    EXPECT_EQ(Acquire({Bucket("a", 1000, 5'000'000)})[0].retry_after_us, 1000u);
    host.now_ns += 1'000'000;
    EXPECT_EQ(Acquire({Bucket("a", 1000, 5'000'000)})[0].allowed, 1);
    host.now_ns += 1'000'000'000;
    EXPECT_EQ(Acquire({Bucket("a", 1000, 5'000'000)})[0].remaining, 999u);
}

TEST_F(MemoryLimitTest, GroupsPassAndFailOnTheirOwn) {
    auto first = Bucket("a", 1000, 1000), second = Bucket("b", 1000, 1000),
         third = Bucket("c", 1000, 1000);
    third.group = 1;
    Acquire({second});
    const auto results = Acquire({first, second, third});
    EXPECT_EQ(results[0].allowed, 0);
    EXPECT_EQ(results[1].allowed, 0);
    EXPECT_EQ(results[2].allowed, 1);
    EXPECT_EQ(Acquire({first})[0].allowed, 1) << "a denied group charges nothing";
}

TEST_F(MemoryLimitTest, TheSameBucketTwiceInOneCallIsChargedTwice) {
    const auto bucket = Bucket("a", 1000, 2000);
    EXPECT_EQ(Acquire({bucket, bucket})[1].remaining, 0u);
    EXPECT_EQ(Acquire({bucket})[0].allowed, 0);
}

TEST_F(MemoryLimitTest, SixteenThreadsAdmitExactlyTheBurst) {
    std::atomic<int> admitted{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 16; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) {
                if (Acquire({Bucket("a", 1000, 1'000'000), Bucket("b", 1000, 2'000'000)})[0]
                        .allowed == 1)
                    ++admitted;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(admitted, 1000);
}

TEST_F(MemoryLimitTest, NonsenseIsRefusedWithoutACharge) {
    auto request = Bucket("a", 0, 1000);
    osp_rl_res result{sizeof(osp_rl_res), 0, 0, 0, 0, 0, 0};
    EXPECT_EQ(
        table.acquire(running.raw(), &request, sizeof request, &result, sizeof result, 1, 1, 0),
        OSP_E_INVALID
    );
}

TEST_F(MemoryLimitTest, AnUnknownKeyIsNoConfiguration) {
    const Running other(plugin, host, R"({"clock":"manual"})");
    EXPECT_EQ(other.status(), OSP_E_CONFIG);
    EXPECT_NE(other.error().find("no configuration"), std::string::npos);
}

}  // namespace
