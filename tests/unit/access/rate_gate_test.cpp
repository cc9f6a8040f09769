#include "kernel/access/rate_gate.h"

#include <vector>

#include <gmock/gmock.h>

#include "kernel/base/error.h"

namespace opensend::access {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Answers what it is told and keeps what it was asked.
class Script final : public model::RateLimiter {
public:
    explicit Script(std::string name) : name_(std::move(name)) {}
    model::RateVerdict Acquire(std::span<const model::RateBucket> buckets, bool peek) override {
        (peek ? looks : asked).emplace_back(buckets.begin(), buckets.end());
        model::RateVerdict verdict;
        verdict.store_failed = failing;
        verdict.degraded = degraded;
        verdict.allowed = allowed;
        for (size_t i = 0; i < buckets.size(); ++i) {
            verdict.buckets.push_back(i < states.size() ? states[i] : model::RateState{1, 0, 0});
        }
        return verdict;
    }
    void Refund(std::span<const model::RateBucket> buckets) override {
        refunded.emplace_back(buckets.begin(), buckets.end());
    }
    const std::string& name() const override { return name_; }

    bool failing = false, degraded = false, allowed = true;
    std::vector<model::RateState> states;
    std::vector<std::vector<model::RateBucket>> asked, looks, refunded;

private:
    const std::string name_;
};

const std::string kTenant = "019cadd4-cbcb-7f91-8540-60d7d17dd01c";
const std::string kKey = "019c8ee0-7280-73fd-8ab0-97cffe3743e0";

class Gate : public testing::Test {
protected:
    using OnFailure = RateGate::OnFailure;
    using State = RateOutage::State;
    std::unique_ptr<RateGate> Make(OnFailure policy, model::RateLimiter* backend) {
        RateGate::Numbers numbers;
        for (const char* name :
             {"org.api", "key.api", "org.send", "key.admin", "org.export", "addr.anon",
              "addr.authfail"}) {
            numbers[name] = {100'000, 20};
        }
        return std::make_unique<RateGate>(backend, &local, std::move(numbers), policy);
    }
    std::unique_ptr<RateGate> Make(OnFailure policy = OnFailure::kLocal) {
        return Make(policy, &store);
    }
    static model::Principal Caller() {
        model::Principal principal;
        principal.tenant = *model::TenantId::Parse(kTenant);
        principal.key = *model::ApiKeyId::Parse(kKey);
        principal.key_name = "name of the key";
        return principal;
    }
    /// The error of a charge.
    template <class F>
    static std::optional<base::Error> ErrorOf(F&& charge) {
        try {
            charge();
        } catch (const base::Error& error) {
            return error;
        }
        return std::nullopt;
    }
    std::string ReasonOf(RateGate& gate) {
        RateHeaders headers;
        const auto error = ErrorOf([&] { gate.ChargeRequest(Caller(), {}, headers); });
        backend_named = headers.backend;
        return error ? error->reason() : "none";
    }
    static std::vector<std::string> Keys(const std::vector<model::RateBucket>& buckets) {
        std::vector<std::string> keys;
        for (const auto& bucket : buckets) keys.push_back(bucket.key);
        return keys;
    }

    Script store{"store"}, local{"memory"};
    std::string backend_named;
};

TEST_F(Gate, BucketsAreNamedByTenantKeyAndPrefix) {
    const auto gate = Make();
    RateHeaders headers;
    gate->ChargeRequest(Caller(), {.admin = true, .exports = true}, headers);
    const std::string tag = "os:rl:{" + kTenant + "}:";
    EXPECT_THAT(
        Keys(store.asked[0]),
        ElementsAre(
            tag + "org.api", tag + "key.api:" + kKey, tag + "key.admin:" + kKey, tag + "org.export"
        )
    );
    gate->ChargeSend(Caller(), 50, headers);
    EXPECT_THAT(Keys(store.asked[1]), ElementsAre(tag + "org.send"));
    EXPECT_EQ(store.asked[1][0].cost, 50u);
    const std::pair<const char*, const char*> rows[] = {
        {"198.51.100.7",              "198.51.100.7"  },
        {"::ffff:198.51.100.7",       "198.51.100.7"  },
        {"2001:db8:1:2:3:4:5:6",      "2001:db8:1:2::"},
        {"2001:db8:1:2:ffff:ffff::1", "2001:db8:1:2::"},
        {"2001:db8:1:3::1",           "2001:db8:1:3::"}
    };
    for (const auto& [address, prefix] : rows) {
        gate->ChargeAnonymous(*base::ParseIp(address), headers);
        EXPECT_THAT(
            Keys(store.asked.back()), ElementsAre(std::string("os:rl:{a:") + prefix + "}:addr.anon")
        );
    }
    gate->ChargeAuthFailure(*base::ParseIp("192.0.2.1"), headers);
    EXPECT_THAT(Keys(store.asked.back()), ElementsAre("os:rl:{a:192.0.2.1}:addr.authfail"));
}

TEST_F(Gate, TheTightestBucketIsTold) {
    const auto gate = Make();
    struct Row {
        std::vector<model::RateState> states;
        bool allowed;
        uint64_t remaining, reset_s;
    };
    const Row rows[] = {
        {{{19, 0, 100'000}, {5, 0, 1'500'000}, {7, 0, 1}},          true,  5, 2},
        {{{5, 0, 1'000'000}, {5, 0, 9'000'000}, {6, 0, 1}},         true,  5, 1},
        {{{0, 0, 1}, {0, 100'000, 2}, {3, 2'000'001, 3'000'000}},   false, 3, 3},
        {{{0, 7, 1'000'001}, {0, 7, 5'000'000}, {1, 6, 9'000'000}}, false, 0, 2}
    };
    for (const Row& row : rows) {
        store.states = row.states;
        store.allowed = row.allowed;
        RateHeaders headers;
        const auto error =
            ErrorOf([&] { gate->ChargeRequest(Caller(), {.admin = true}, headers); });
        EXPECT_EQ(error.has_value(), !row.allowed);
        EXPECT_EQ(headers.limit, 20u);
        EXPECT_EQ(headers.remaining, row.remaining);
        EXPECT_EQ(headers.reset_s, row.reset_s);
        EXPECT_EQ(headers.backend, "store");
    }
}

TEST_F(Gate, OfTwoChargesTheTighterIsTold) {
    const auto gate = Make();
    RateHeaders headers;
    store.states = {
        {10, 0, 1'000'000},
        {10, 0, 1'000'000}
    };
    gate->ChargeRequest(Caller(), {}, headers);
    store.states = {
        {10, 0, 7'000'000}
    };
    gate->ChargeSend(Caller(), 1, headers);
    EXPECT_EQ(headers.reset_s, 1u) << "the first of two that are equal";
    store.states = {
        {9, 0, 7'000'000}
    };
    gate->ChargeSend(Caller(), 1, headers);
    EXPECT_EQ(headers.remaining, 9u);
    store.allowed = false;
    store.states = {
        {20, 1, 8'000'000}
    };
    EXPECT_TRUE(ErrorOf([&] { gate->ChargeSend(Caller(), 1, headers); }));
    EXPECT_EQ(headers.reset_s, 8u) << "what denies is told";
}

TEST_F(Gate, ADenialSaysWhichBucketAndHowLong) {
    const auto gate = Make();
    store.allowed = false;
    for (const auto& [wait_us, wait_s] : std::vector<std::pair<uint64_t, int>>{
             {1,         1},
             {1'000'000, 1},
             {1'000'001, 2}
    }) {
        store.states = {
            {0, 0,       1},
            {0, wait_us, 1}
        };
        RateHeaders headers;
        const auto error = ErrorOf([&] { gate->ChargeRequest(Caller(), {}, headers); });
        ASSERT_TRUE(error);
        EXPECT_EQ(error->code(), base::ErrorCode::kRateLimitExceeded);
        EXPECT_EQ(error->retry_after_s(), wait_s);
        EXPECT_EQ(
            error->extra_json(),
            R"({"bucket":"key.api","retry_after":)" + std::to_string(wait_s) + "}"
        );
    }
}

TEST_F(Gate, OwnNumbersStandInForTheSettings) {
    const auto gate = Make();
    model::Principal caller = Caller();
    caller.rates = std::make_shared<const model::OwnRates>(model::OwnRates{
        {"key.api",  7,     3     },
        {"org.send", 5'000, 20'000}
    });
    RateHeaders headers;
    gate->ChargeRequest(caller, {}, headers);
    gate->ChargeSend(caller, 2, headers);
    EXPECT_EQ(store.asked[0][0].emission_us, 100'000u);
    EXPECT_EQ(store.asked[0][0].burst_us, 2'000'000u);
    EXPECT_EQ(store.asked[0][1].emission_us, 7u);
    EXPECT_EQ(store.asked[0][1].burst_us, 21u);
    EXPECT_EQ(store.asked[1][0].emission_us, 5'000u);
    EXPECT_EQ(store.asked[1][0].burst_us, 100'000'000u);
    gate->SetNumbers({
        {"addr.anon", {50, 4}}
    });
    gate->ChargeAnonymous(*base::ParseIp("192.0.2.1"), headers);
    EXPECT_EQ(store.asked[2][0].burst_us, 200u);
}

TEST_F(Gate, ARefundGivesBackWhatWasTakenWhereItWasTaken) {
    const auto gate = Make();
    RateHeaders headers;
    const auto units = gate->ChargeSend(Caller(), 50, headers);
    gate->SetNumbers({
        {"org.send", {1, 1}}
    });
    store.failing = true;
    const auto of_share = gate->ChargeSend(Caller(), 1, headers);
    RateGate::RefundSend(units);
    RateGate::RefundSend(of_share);
    ASSERT_EQ(store.refunded.size(), 1u);
    EXPECT_EQ(store.refunded[0][0].cost, 50u);
    EXPECT_EQ(store.refunded[0][0].emission_us, 100'000u);
    EXPECT_EQ(local.refunded.size(), 1u);
    RateGate::RefundSend({});
    const auto without = Make(OnFailure::kLocal, nullptr)->ChargeSend(Caller(), 1, headers);
    EXPECT_EQ(without.limiter, nullptr);
}

TEST_F(Gate, DisabledCountsFailedCredentialsAlone) {
    const auto gate = Make(OnFailure::kLocal, nullptr);
    RateHeaders headers;
    gate->ChargeRequest(Caller(), {}, headers);
    gate->ChargeSend(Caller(), 1, headers);
    gate->ChargeAnonymous(*base::ParseIp("192.0.2.1"), headers);
    EXPECT_FALSE(headers.present);
    EXPECT_EQ(headers.backend, "disabled");
    EXPECT_TRUE(local.asked.empty());
    local.allowed = false;
    EXPECT_TRUE(ErrorOf([&] { gate->ChargeAuthFailure(*base::ParseIp("192.0.2.1"), headers); }));
    EXPECT_EQ(headers.backend, "memory");
}

TEST_F(Gate, AFailingStoreIsLeftAloneUntilThreeProbesInARowAreGood) {
    const auto gate = Make();
    EXPECT_EQ(ReasonOf(*gate), "none");
    store.failing = true;
    EXPECT_EQ(ReasonOf(*gate), "none");
    EXPECT_EQ(backend_named, "local");
    EXPECT_EQ(ReasonOf(*gate), "none");
    EXPECT_EQ(store.asked.size(), 2u);
    EXPECT_EQ(local.asked.size(), 2u);
    EXPECT_FALSE(gate->Probe());
    store.failing = false;
    EXPECT_TRUE(gate->Probe());
    EXPECT_TRUE(gate->Probe());
    store.failing = true;
    EXPECT_FALSE(gate->Probe());
    store.failing = false;
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(gate->Probe());
    EXPECT_EQ(gate->outage().state(), State::kAway);
    EXPECT_TRUE(gate->Probe());
    EXPECT_EQ(gate->outage().state(), State::kWell);
    EXPECT_EQ(ReasonOf(*gate), "none");
    EXPECT_EQ(backend_named, "store");
    const size_t looks = store.looks.size();
    EXPECT_TRUE(gate->Probe());
    EXPECT_EQ(store.looks.size(), looks) << "nobody looks while all is well";
}

TEST_F(Gate, TheShareIsThePartOfOneProcess) {
    const auto gate = Make();
    gate->SetProcesses(8);
    store.failing = true;
    ReasonOf(*gate);
    EXPECT_EQ(store.asked[0][0].processes, 8u);
    EXPECT_EQ(local.asked[0][0].emission_us, 800'000u);
    EXPECT_EQ(local.asked[0][0].burst_us, 1'600'000u) << "20 units by 8, whole";
    gate->SetProcesses(1000);
    ReasonOf(*gate);
    EXPECT_EQ(local.asked[1][0].burst_us, local.asked[1][0].emission_us) << "one at least";
    gate->SetProcesses(0);
    ReasonOf(*gate);
    EXPECT_EQ(local.asked[2][0].burst_us, 2'000'000u);
}

TEST_F(Gate, OpenAllowsAndClosedRefuses) {
    store.failing = true;
    const auto open = Make(OnFailure::kOpen);
    EXPECT_EQ(ReasonOf(*open), "none");
    EXPECT_EQ(backend_named, "disabled");
    EXPECT_TRUE(local.asked.empty());
    const auto closed = Make(OnFailure::kClosed);
    RateHeaders headers;
    const auto error = ErrorOf([&] { closed->ChargeRequest(Caller(), {}, headers); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), base::ErrorCode::kUnavailable);
    EXPECT_EQ(error->reason(), "rate_limit_unavailable");
    EXPECT_EQ(error->retry_after_s(), 5);
    EXPECT_TRUE(local.asked.empty());
}

TEST_F(Gate, CredentialsStayProtectedUnderEveryPolicy) {
    store.failing = true;
    local.allowed = false;
    for (const OnFailure policy : {OnFailure::kLocal, OnFailure::kOpen, OnFailure::kClosed}) {
        const auto gate = Make(policy);
        RateHeaders headers;
        const auto error =
            ErrorOf([&] { gate->ChargeAuthFailure(*base::ParseIp("192.0.2.1"), headers); });
        ASSERT_TRUE(error);
        EXPECT_EQ(error->code(), base::ErrorCode::kRateLimitExceeded);
        EXPECT_EQ(headers.backend, "local");
    }
}

TEST_F(Gate, AShareOfTheBackendsOwnServesUnderPolicyLocal) {
    store.degraded = true;
    const auto gate = Make();
    EXPECT_EQ(ReasonOf(*gate), "none");
    EXPECT_EQ(backend_named, "local");
    EXPECT_EQ(ReasonOf(*gate), "none");
    EXPECT_EQ(store.asked.size(), 2u);
    EXPECT_TRUE(local.asked.empty());
    EXPECT_EQ(gate->outage().state(), State::kDegraded);
    EXPECT_EQ(ReasonOf(*Make(OnFailure::kClosed)), "rate_limit_unavailable");
    EXPECT_EQ(ReasonOf(*Make(OnFailure::kOpen)), "none");
    EXPECT_EQ(backend_named, "disabled");
    store.failing = true;
    EXPECT_EQ(ReasonOf(*gate), "none");
    EXPECT_EQ(gate->outage().state(), State::kAway);
    store.failing = false;
    for (int i = 0; i < 3; ++i) gate->Probe();
    EXPECT_EQ(gate->outage().state(), State::kDegraded);
    store.degraded = false;
    for (int i = 0; i < 3; ++i) gate->Probe();
    EXPECT_EQ(gate->outage().state(), State::kWell);
}

TEST_F(Gate, WhenMemoryItselfIsGoneThePolicyHolds) {
    local.failing = true;
    EXPECT_EQ(ReasonOf(*Make(OnFailure::kLocal, &local)), "none");
    EXPECT_EQ(backend_named, "disabled");
    EXPECT_EQ(ReasonOf(*Make(OnFailure::kClosed, &local)), "rate_limit_unavailable");
}

TEST(Outage, TellsEachTenantOnceAndRecoversThoseItTouched) {
    using State = RateOutage::State;
    RateOutage outage;
    const auto one = *model::TenantId::Parse(kTenant);
    const auto two = *model::TenantId::Parse(kKey);
    outage.Note(State::kAway, &one);
    outage.Note(State::kAway, &one);
    outage.Note(State::kAway, nullptr);
    auto news = outage.Take();
    EXPECT_TRUE(news.began);
    EXPECT_EQ(news.unanswered, 3u);
    EXPECT_THAT(news.failed, ElementsAre(one));
    outage.Note(State::kAway, &two);
    news = outage.Take();
    EXPECT_FALSE(news.began);
    EXPECT_THAT(news.failed, ElementsAre(two));
    for (int i = 0; i < 3; ++i) outage.Probed(State::kWell);
    news = outage.Take();
    EXPECT_TRUE(news.ended);
    EXPECT_THAT(news.recovered, testing::UnorderedElementsAre(one, two));
    outage.Note(State::kAway, &one);
    EXPECT_THAT(outage.Take().failed, ElementsAre(one));
}

}  // namespace
}  // namespace opensend::access
