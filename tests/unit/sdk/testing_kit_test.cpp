// The test kit itself: it must notice what plugins do wrong.
#include <gtest/gtest.h>

#include <opensend/testing_calls.hpp>
#include <opensend/testing_peer.hpp>
#include <opensend/testing_services.hpp>

namespace {

using osp::testing::FakeHost;
using osp::testing::HttpReply;
using osp::testing::Services;
using osp::testing::TokenKind;

struct KitTest : testing::Test {
    FakeHost host;
    Services services{host};
    std::vector<std::pair<osp_status, std::string>> answers;

    osp_status Complete(osp_token token) {
        const osp_completion completion{sizeof completion, OSP_E_BUSY, nullptr, nullptr};
        return host.table()->complete(host.table(), token, &completion);
    }
    template <class Table>
    const Table& Service(const char* id) {
        return *static_cast<const Table*>(host.table()->get_interface(host.table(), id));
    }
    uint64_t Get(const std::string& url, osp_time deadline = 0) {
        osp_http_call call{};
        call.size = sizeof call;
        call.url = osp::Str(url);
        call.deadline = deadline;
        call.ctx = &answers;
        call.done = [](void* to, osp_status status, const osp_http_res* result) noexcept {
            static_cast<std::vector<std::pair<osp_status, std::string>>*>(to)->emplace_back(
                status, result == nullptr ? "" : std::string(osp::View(result->body))
            );
        };
        return Service<osp_host_http_v1>(OSP_HOST_HTTP).start(host.table(), &call, nullptr);
    }
};

TEST_F(KitTest, TheAuditTellsEachMistakeWithTokens) {
    const osp_token one = host.Open(TokenKind::kAuth);
    EXPECT_NE(host.Audit().find("never"), std::string::npos);
    EXPECT_EQ(Complete(one), OSP_OK);
    EXPECT_EQ(host.Audit(), "");
    EXPECT_EQ(Complete(one), OSP_E_STATE);
    EXPECT_NE(host.Audit().find("again"), std::string::npos);
    FakeHost other;
    other.Open(TokenKind::kAuth);
    const osp_completion completion{sizeof completion, OSP_E_BUSY, nullptr, nullptr};
    EXPECT_EQ(other.table()->complete(other.table(), 7, &completion), OSP_E_STATE);
    EXPECT_NE(other.Audit().find("unknown"), std::string::npos);
}

TEST_F(KitTest, HttpRepliesComeInOrderAndThenTheServerIsGone) {
    services.http_replies = {
        {OSP_OK,        200, "first"},
        {OSP_E_TIMEOUT, 0,   ""     }
    };
    for (int i = 0; i < 3; ++i) EXPECT_NE(Get("https://api.example/" + std::to_string(i)), 0u);
    const decltype(answers) expected = {
        {OSP_OK,            "first"},
        {OSP_E_TIMEOUT,     ""     },
        {OSP_E_UNAVAILABLE, ""     }
    };
    EXPECT_EQ(answers, expected);
    EXPECT_EQ(services.http_calls[2].url, "https://api.example/2");
}

TEST_F(KitTest, DelaysDropsAndCutsFollowTheVirtualClock) {
    HttpReply late{OSP_OK, 200, "late"}, lost{OSP_OK, 200, "lost"}, cut{OSP_OK, 200, "whole"};
    late.delay_ns = 500;
    lost.drops = true;
    cut.cut_at = 2;
    services.http_replies = {late, lost, cut};
    Get("a");
    Get("b", host.now_ns + 1000);
    Get("c");
    EXPECT_EQ(
        answers, (decltype(answers){
                     {OSP_E_UNAVAILABLE, ""}
    })
    );
    services.Advance(500);
    EXPECT_EQ(answers.back(), (std::pair<osp_status, std::string>{OSP_OK, "late"}));
    services.Advance(500);
    EXPECT_EQ(answers.back(), (std::pair<osp_status, std::string>{OSP_E_TIMEOUT, ""}));
    EXPECT_EQ(answers.size(), 3u);
}

TEST_F(KitTest, ACancelledCallIsAnsweredOnce) {
    HttpReply late{OSP_OK, 200, "late"};
    late.delay_ns = 500;
    services.http_replies = {late};
    const uint64_t id = Get("a");
    Service<osp_host_http_v1>(OSP_HOST_HTTP).cancel(host.table(), id);
    services.Advance(1000);
    EXPECT_EQ(
        answers, (decltype(answers){
                     {OSP_E_CANCELLED, ""}
    })
    );
}

TEST_F(KitTest, TimersFireWhenTheyAreDueAndNotOnceTheyAreDisarmed) {
    const auto& timers = Service<osp_host_timer_v1>(OSP_HOST_TIMER);
    int fired = 0;
    const auto count = [](void* to, uint64_t) noexcept { ++*static_cast<int*>(to); };
    const uint64_t id = timers.arm(host.table(), host.now_ns + 100, 100, count, &fired);
    services.Advance(99);
    EXPECT_EQ(fired, 0);
    services.Advance(1);
    services.Advance(100);
    EXPECT_EQ(fired, 2);
    EXPECT_EQ(timers.disarm(host.table(), id), OSP_OK);
    services.Advance(1000);
    EXPECT_EQ(fired, 2);
    EXPECT_EQ(services.armed_timers(), 0u);
}

TEST_F(KitTest, StoredValuesKnowTheirVersion) {
    const auto& kv = Service<osp_host_kv_v1>(OSP_HOST_KV);
    const osp_str key = OSP_S("k");
    EXPECT_EQ(kv.put(host.table(), key, osp::Bytes("a"), 0, 0), OSP_OK);
    EXPECT_EQ(kv.put(host.table(), key, osp::Bytes("b"), 0, 0), OSP_E_CONFLICT);
    EXPECT_EQ(kv.put(host.table(), key, osp::Bytes("b"), 1, 0), OSP_OK);
    EXPECT_EQ(services.kv.at("k").first, "b");
    EXPECT_EQ(kv.del(host.table(), key, 2), OSP_OK);
    EXPECT_EQ(kv.del(host.table(), key, 2), OSP_E_NOTFOUND);
}

}  // namespace
