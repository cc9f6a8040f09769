#include "kernel/resources/event_log/event_log_store.h"

#include <gmock/gmock.h>

#include "kernel/workers/events/sequencer.h"
#include "tests/unit/webhooks/webhooks_db.h"

namespace opensend::event_log {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class EventLogStoreTest : public test::WebhooksDb {
protected:
    void Sequence() {
        sequencer::Sequencer sequencer(*pool_, ids_, clock_, [] {});
        while (sequencer.RunOnce() > 0) continue;
    }
    LogRange Range(const model::TenantId& tenant) {
        db::Reader reader(*pool_, db::Scope(tenant));
        return EventLogStore::Range(reader, tenant);
    }
    std::vector<int64_t> Numbers(int64_t after, int64_t upto, const std::string& types = "") {
        db::Reader reader(*pool_, db::Scope(first_));
        std::vector<int64_t> out;
        for (const auto& one : EventLogStore::Read(reader, first_, after, upto, types, 3)) {
            out.push_back(one.sequence);
        }
        return out;
    }
};

TEST_P(EventLogStoreTest, BeginsAtOneAndShowsNothingWithoutANumber) {
    EXPECT_EQ(Range(first_).oldest, 1);
    EXPECT_EQ(Range(first_).latest, 0);
    // Its own sequencer is not running yet.
    Run("INSERT INTO events (id, org_id, type, created_at, subject_id, data, dedupe_key) VALUES "
        "($1, $2, 'email.sent', 1, 's', '{}', 'd')",
        {ids_.Next().ToString(), first_});
    EXPECT_EQ(Range(first_).latest, 0);
    EXPECT_THAT(Numbers(0, 100), IsEmpty());
}

TEST_P(EventLogStoreTest, ReadsPagesAndTypesOfOneTenantInOrder) {
    for (int i = 0; i < 5; ++i) Write(first_);
    Write(second_);
    Sequence();
    Write(first_, model::EventType::kEmailSent);
    Sequence();
    EXPECT_EQ(Range(first_).latest, 6);
    EXPECT_EQ(Range(second_).latest, 1);
    EXPECT_THAT(Numbers(0, 6), ElementsAre(1, 2, 3));
    EXPECT_THAT(Numbers(3, 6), ElementsAre(4, 5, 6));
    EXPECT_THAT(Numbers(3, 5), ElementsAre(4, 5));
    EXPECT_THAT(Numbers(0, 6, ",email.sent,email.failed,"), ElementsAre(6));
    EXPECT_THAT(Numbers(0, 6, ",email.sen,"), IsEmpty());
}

TEST_P(EventLogStoreTest, KnowsWhatIsNoLongerKept) {
    for (int i = 0; i < 3; ++i) Write(first_);
    Sequence();
    Run("DELETE FROM events WHERE sequence <= 2", {});
    EXPECT_EQ(Range(first_).oldest, 3);
    Run("DELETE FROM events", {});
    EXPECT_EQ(Range(first_).oldest, 4);
    EXPECT_EQ(Range(first_).latest, 3);
}

INSTANTIATE_TEST_SUITE_P(
    Databases,
    EventLogStoreTest,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& one) { return test::DialectName(one.param); }
);

}  // namespace
}  // namespace opensend::event_log
