#include <thread>

#include <gmock/gmock.h>

#include "kernel/resources/webhooks/replay_store.h"
#include "kernel/workers/events/sequencer.h"
#include "kernel/workers/webhooks/attempt_recorder.h"
#include "kernel/workers/webhooks/replay_runner.h"
#include "tests/unit/webhooks/webhooks_db.h"

namespace opensend::webhook_delivery {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using webhooks::DeliveryStore;
using webhooks::EndpointQueue;
using webhooks::ReplayJob;
using webhooks::ReplayStore;
using webhooks::WebhookStore;

class EndpointQueueTest : public test::WebhooksDb {
protected:
    /// Gives every event its place and its deliveries; the sequencer's own thread may be faster.
    void Sequence() {
        sequencer::Sequencer sequencer(*pool_, ids_, clock_, [] {});
        while (sequencer.RunOnce() > 0) {
        }
    }
    /// Ends the attempt of a delivery; true when the endpoint was switched off.
    bool End(const webhooks::ClaimedDelivery& delivery, bool success, bool last = false) {
        webhooks::AttemptRecord record;
        record.delivery = delivery;
        record.started_at = clock_.now;
        record.http_status = success ? 200 : 500;
        record.next_status = success ? "success" : last ? "failed" : "pending";
        record.due_at = clock_.now;
        if (!success && !last) {
            record.due_at = clock_.now + LadderStep(delivery.attempts + 2);
        }
        return InTransaction([&](db::Session& tx) {
            const webhooks::AttemptRecord* one = &record;
            return AttemptRecorder(ids_, clock_, {}).Apply(tx, {&one, 1});
        });
    }
    static base::Duration LadderStep(int64_t next) { return next == 2 ? seconds(5) : minutes(5); }
    webhooks::EndpointHealth Health(const model::WebhookId& hook) {
        return *InTransaction([&](db::Session& tx) { return EndpointQueue::Lock(tx, first_, hook); }
        );
    }
    /// One due delivery that fails, after moving the clock to when there is one.
    void FailOne() {
        for (int steps = 0; steps < 1000; ++steps) {
            const auto due = Due();
            if (!due.empty()) {
                const auto taken = Take(due.front(), 1);
                if (!taken.empty()) return static_cast<void>(End(taken.front(), false));
            }
            clock_.now = clock_.now + minutes(1);
        }
        FAIL() << "nothing became due";
    }
};

TEST_P(EndpointQueueTest, EventsGoToEnabledEndpointsOfTheTenantThatWantThem) {
    const auto all = Add(first_);
    const auto some = Add(first_, R"(["email.sent"])");
    const auto foreign = Add(second_);
    Write(first_);
    Write(first_, model::EventType::kEmailSent);
    Write(first_, model::EventType::kWebhookTest, some.id.ToString());
    Sequence();
    EXPECT_THAT(Events(first_, all.id), SizeIs(2));
    EXPECT_THAT(Events(first_, some.id), SizeIs(2));
    EXPECT_THAT(Events(second_, foreign.id), IsEmpty());
    EXPECT_THAT(Events(second_, all.id), IsEmpty());
}

TEST_P(EndpointQueueTest, AnEndpointIsDueExactlyWhileSomethingOfItIs) {
    const auto hook = Add(first_);
    EXPECT_THAT(Due(), IsEmpty());
    Write(first_);
    Write(first_);
    Sequence();
    const auto turn = Due();
    ASSERT_THAT(turn, SizeIs(1));
    const auto one = Take(turn.front(), 1);
    ASSERT_THAT(one, SizeIs(1));
    EXPECT_THAT(Due(), SizeIs(1));
    const auto two = Take(turn.front(), 5);
    ASSERT_THAT(two, SizeIs(1));
    EXPECT_NE(one.front().event, two.front().event);
    EXPECT_THAT(Due(), IsEmpty());
    End(one.front(), false);
    EXPECT_THAT(Due(), IsEmpty());
    clock_.now = clock_.now + seconds(5);
    EXPECT_THAT(Due(), SizeIs(1));
    End(two.front(), true);
    EXPECT_TRUE(Health(hook.id).proven);
}

TEST_P(EndpointQueueTest, ALostLeaseIsGivenToAnotherAndTheLateResultCountsNothing) {
    const auto hook = Add(first_);
    Write(first_);
    Sequence();
    const auto lost = Take(Due().front(), 1, "gone");
    EXPECT_THAT(Due(), IsEmpty());
    clock_.now = clock_.now + seconds(61);
    const auto released = InTransaction([&](db::Session& tx) {
        return DeliveryStore::ReleaseExpired(tx, clock_.now, "");
    });
    EXPECT_EQ(released, 1);
    const auto again = Take(Due().front(), 1);
    ASSERT_THAT(again, SizeIs(1));
    End(lost.front(), true);
    EXPECT_EQ(Number("SELECT COUNT(*) FROM webhook_attempts", {}), 0);
    End(again.front(), true);
    EXPECT_EQ(Number("SELECT COUNT(*) FROM webhook_attempts", {}), 1);
    EXPECT_EQ(Events(first_, hook.id).front().status, "success");
}

TEST_P(EndpointQueueTest, AfterTenFailuresOneProbeIsTriedAndASuccessLetsTheRestGo) {
    const auto hook = Add(first_);
    for (int i = 0; i < 30; ++i) Write(first_);
    Sequence();
    for (int i = 0; i < 10; ++i) FailOne();
    const auto open = Health(hook.id);
    EXPECT_TRUE(open.is_open());
    ASSERT_TRUE(open.probe.has_value());
    const int64_t attempts = Number("SELECT SUM(attempts) FROM webhook_deliveries", {});
    // Everything is due, and only the probe goes out.
    clock_.now = clock_.now + hours(1);
    Write(first_);
    Sequence();
    const auto probe = Take(Due().front(), 5);
    ASSERT_THAT(probe, SizeIs(1));
    EXPECT_EQ(probe.front().id, *open.probe);
    EXPECT_THAT(Due(), IsEmpty());
    End(probe.front(), false);
    EXPECT_THAT(Due(), IsEmpty());
    EXPECT_EQ(Number("SELECT SUM(attempts) FROM webhook_deliveries", {}), attempts + 1);
    clock_.now = clock_.now + minutes(5);
    const auto second = Take(Due().front(), 5);
    ASSERT_THAT(second, SizeIs(1));
    End(second.front(), true);
    EXPECT_FALSE(Health(hook.id).probe.has_value());
    EXPECT_THAT(Take(Due().front(), 50), SizeIs(30));
}

TEST_P(EndpointQueueTest, AProbeWhoseLadderEndedMakesRoomForAnother) {
    const auto hook = Add(first_);
    for (int i = 0; i < 12; ++i) Write(first_);
    Sequence();
    for (int i = 0; i < 10; ++i) FailOne();
    clock_.now = clock_.now + hours(1);
    const auto probe = Take(Due().front(), 1);
    End(probe.front(), false, true);
    EXPECT_FALSE(Health(hook.id).probe.has_value());
    const auto next = Take(Due().front(), 4);
    ASSERT_THAT(next, SizeIs(1));
    EXPECT_NE(next.front().id, probe.front().id);
    EXPECT_EQ(Health(hook.id).probe, next.front().id);
}

TEST_P(EndpointQueueTest, WhatWaitsBehindAnOpenCircuitEndsAfterTheLadderOnly) {
    const auto hook = Add(first_);
    for (int i = 0; i < 12; ++i) Write(first_);
    Sequence();
    for (int i = 0; i < 10; ++i) FailOne();
    const auto forget = [&](base::Time oldest) {
        return InTransaction([&](db::Session& tx) { return DeliveryStore::ForgetStuck(tx, oldest); }
        );
    };
    EXPECT_EQ(forget(clock_.now - hours(84)), 0);
    EXPECT_EQ(forget(clock_.now + hours(1)), 11);
    EXPECT_EQ(Number("SELECT COUNT(*) FROM webhook_deliveries WHERE status = 'pending'", {}), 1);
    static_cast<void>(hook);
}

TEST_P(EndpointQueueTest, FiveDaysWithoutSuccessSwitchAnEndpointOff) {
    const auto hook = Add(first_);
    const auto witness = Add(first_, R"(["webhook.disabled"])");
    for (int i = 0; i < 40; ++i) Write(first_);
    Sequence();
    for (int i = 0; i < 25; ++i) FailOne();
    const auto status = [&] {
        db::Reader reader(*pool_, db::Scope(first_));
        return *WebhookStore::Find(reader, first_, hook.id);
    };
    EXPECT_EQ(status().status, "enabled");
    clock_.now = clock_.now + hours(5 * 24);
    FailOne();
    EXPECT_EQ(status().status, "disabled");
    EXPECT_EQ(status().disabled_reason, "continuous_failure");
    EXPECT_EQ(Number("SELECT COUNT(*) FROM webhook_deliveries WHERE status = 'pending'", {}), 0);
    EXPECT_EQ(Number("SELECT COUNT(*) FROM audit_log WHERE action = 'webhook.disabled'", {}), 1);
    Sequence();
    const auto told = Events(first_, witness.id);
    ASSERT_THAT(told, SizeIs(1));
    EXPECT_THAT(told.front().data, testing::HasSubstr(hook.id.ToString()));
    EXPECT_THAT(told.front().data, testing::HasSubstr(R"("failed_attempts":26)"));
}

TEST_P(EndpointQueueTest, FewFailuresInFiveDaysSwitchNothingOff) {
    const auto hook = Add(first_);
    for (int i = 0; i < 3; ++i) Write(first_);
    Sequence();
    for (int i = 0; i < 5; ++i) FailOne();
    clock_.now = clock_.now + hours(6 * 24);
    FailOne();
    db::Reader reader(*pool_, db::Scope(first_));
    EXPECT_EQ(WebhookStore::Find(reader, first_, hook.id)->status, "enabled");
}

TEST_P(EndpointQueueTest, ARemovedEndpointTakesNothingMoreAndItsAttemptStays) {
    const auto hook = Add(first_);
    Write(first_);
    Write(first_);
    Sequence();
    const auto under_way = Take(Due().front(), 1);
    InTransaction([&](db::Session& tx) { return WebhookStore::Delete(tx, first_, hook.id); });
    EXPECT_THAT(Due(), IsEmpty());
    End(under_way.front(), false);
    EXPECT_THAT(Due(), IsEmpty());
    EXPECT_EQ(Number("SELECT COUNT(*) FROM webhook_attempts", {}), 1);
    EXPECT_EQ(Number("SELECT COUNT(*) FROM webhook_deliveries WHERE status = 'failed'", {}), 2);
}

TEST_P(EndpointQueueTest, ABackfillBringsOnceWhatNeverArrivedOldestFirst) {
    Write(first_);
    Sequence();
    const auto hook = Add(first_, R"(["suppression.added"])");
    const auto kept = Write(first_);
    Write(first_, model::EventType::kEmailSent);
    Write(second_);
    Sequence();
    End(Take(Due().front(), 1).front(), true);
    std::vector<model::EventId> missed;
    for (int i = 0; i < 700; ++i) missed.push_back(Write(first_));
    InTransaction([&](db::Session& tx) {
        auto off = *WebhookStore::Lock(tx, first_, hook.id);
        off.status = "disabled";
        WebhookStore::Save(tx, first_, off);
        return true;
    });
    Sequence();
    ReplayJob job;
    job.id = ids_.Next();
    job.tenant = first_;
    job.webhook = hook.id;
    job.kind = ReplayJob::Kind::kBackfill;
    job.after_sequence = 1;
    job.types = ",suppression.added,";
    job.remaining = 1'000'000;
    InTransaction([&](db::Session& tx) {
        auto on = *WebhookStore::Lock(tx, first_, hook.id);
        on.status = "enabled";
        WebhookStore::Save(tx, first_, on);
        ReplayStore::Add(tx, job);
        return true;
    });
    int batches = 0;
    while (ReplayRunner::RunOnce(*pool_, ids_, clock_)) ++batches;
    EXPECT_EQ(batches, 3);
    EXPECT_EQ(Number("SELECT COUNT(*) FROM webhook_deliveries", {}), 701);
    EXPECT_EQ(Number("SELECT COUNT(*) FROM webhook_deliveries WHERE event_id = $1", {kept}), 1);
    EXPECT_EQ(
        Number("SELECT COUNT(*) FROM webhook_deliveries WHERE event_id = $1", {missed.back()}), 1
    );
    EXPECT_THAT(Due(), SizeIs(1));
}

TEST_P(EndpointQueueTest, ARangeTakesEventsByTheirNewestState) {
    const auto hook = Add(first_);
    for (int i = 0; i < 3; ++i) Write(first_);
    Sequence();
    const auto taken = Take(Due().front(), 3);
    End(taken[0], false, true);
    End(taken[1], false, true);
    End(taken[2], true);
    ReplayJob job;
    job.id = ids_.Next();
    job.tenant = first_;
    job.webhook = hook.id;
    job.statuses = ",failed,";
    job.remaining = 10;
    const auto count = [&] {
        db::Reader reader(*pool_, db::Scope(first_));
        return ReplayStore::Count(reader, job);
    };
    EXPECT_EQ(count(), 2);
    job.types = ",email.sent,";
    EXPECT_EQ(count(), 0);
    job.types.clear();
    job.remaining = 1;
    EXPECT_EQ(count(), 1);
    InTransaction([&](db::Session& tx) {
        ReplayStore::Add(tx, job);
        return true;
    });
    Tick();
    while (ReplayRunner::RunOnce(*pool_, ids_, clock_)) continue;
    job.remaining = 10;
    EXPECT_EQ(count(), 1);
    End(Take(Due().front(), 1).front(), true);
    std::vector<std::string> states;
    for (const auto& event : Events(first_, hook.id)) states.push_back(event.status);
    std::sort(states.begin(), states.end());
    EXPECT_THAT(states, ElementsAre("failed", "success", "success"));
}

TEST_P(EndpointQueueTest, NumbersHaveNoGapsUnderManyWritersAndSequencers) {
    constexpr int kWriters = 4, kEach = 50;
    const auto hook = Add(first_);
    std::vector<std::thread> threads;
    for (int w = 0; w < kWriters; ++w) {
        threads.emplace_back([this] {
            for (int i = 0; i < kEach; ++i) WriteNow(first_);
        });
    }
    {
        sequencer::Sequencer one(*pool_, ids_, clock_, [] {});
        sequencer::Sequencer two(*pool_, ids_, clock_, [] {});
        for (auto& thread : threads) thread.join();
    }
    Sequence();
    const int64_t all = kWriters * kEach;
    EXPECT_EQ(Number("SELECT COUNT(DISTINCT sequence) FROM events", {}), all);
    EXPECT_EQ(Number("SELECT MAX(sequence) FROM events", {}), all);
    EXPECT_EQ(Number("SELECT COUNT(*) FROM webhook_deliveries", {}), all);
    static_cast<void>(hook);
}

INSTANTIATE_TEST_SUITE_P(
    Databases,
    EndpointQueueTest,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& one) { return test::DialectName(one.param); }
);

}  // namespace
}  // namespace opensend::webhook_delivery
