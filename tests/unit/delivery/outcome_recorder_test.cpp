#include "kernel/workers/delivery/outcome_recorder.h"

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "kernel/crypto/random.h"
#include "kernel/db/migrator.h"
#include "kernel/resources/emails/email_store.h"
#include "tests/support/temp_db.h"

namespace opensend::delivery {
namespace {

using model::EmailStatus;
using model::ResultClass;
using std::chrono::hours;
using std::chrono::minutes;

class StillClock final : public base::Clock {
public:
    base::Time Now() const override { return now; }
    base::MonoTime Mono() const override { return {}; }
    base::Time now{1'700'000'000'000'000};
};

/// A message with one recipient in a fresh database, and the worker's view of it.
class OutcomeRecorderTest : public testing::TestWithParam<db::Dialect> {
protected:
    OutcomeRecorderTest() : db_(GetParam()), pool_(db_.Open()) {
        db::Migrate(*pool_, clock_.now);
        Run("INSERT INTO orgs (id, name, state, timezone, created_at) VALUES ($1, 'o', 'active', "
            "'UTC', 1)",
            {tenant_});
        emails::AcceptedEmail accepted;
        accepted.email.id = email_;
        accepted.email.tenant = tenant_;
        accepted.email.from_domain = "a.example";
        accepted.email.recipient_count = 1;
        accepted.email.created_at = clock_.now;
        accepted.recipients.push_back({});
        accepted.recipients[0].address = accepted.recipients[0].match_key = "b@c.example";
        accepted.recipients[0].kind = "to";
        queue::QueueRow row;
        row.email = email_;
        row.tenant = tenant_;
        row.due_at = row.first_due_at = clock_.now;
        accepted.queue.push_back(row);
        const emails::AcceptedEmail* const all[] = {&accepted};
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        emails::EmailStore::Insert(tx, all, ids_);
        tx.Commit();
    }

    void Run(const char* sql, const db::Params& params) {
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        tx.Execute({"test", sql}, params);
        tx.Commit();
    }
    std::shared_ptr<ClaimedRecipient> Claim(const std::string& owner = "worker") {
        db::Transaction tx(*pool_, db::Plane::kDeliver, db::Scope::AllTenants());
        const auto claimed = ClaimMail(
            tx, queue::Lane::kTransactional, owner, clock_.now, clock_.now + minutes(2), 10, turn_,
            ids_
        );
        tx.Commit();
        return claimed.size() == 1 ? claimed[0] : nullptr;
    }
    std::string turn_;
    void Apply(Outcome outcome) {
        OutcomeRecorder recorder(ids_, clock_);
        db::Transaction tx(*pool_, db::Plane::kDeliver, db::Scope::AllTenants());
        Outcome* const all[] = {&outcome};
        recorder.Apply(tx, all);
        tx.Commit();
    }
    std::string Text(const char* sql) {
        db::Reader reader(*pool_, db::Scope::AllTenants(), db::Plane::kDeliver);
        const auto row = reader.First({"test", sql}, {});
        return row ? row->Text(0) : "nothing";
    }
    std::string Recipient() { return Text("SELECT status FROM recipients"); }
    std::string Message() { return Text("SELECT status FROM emails"); }
    std::string LastEvent() { return Text("SELECT type FROM events ORDER BY id DESC LIMIT 1"); }
    int64_t Waiting() {
        db::Reader reader(*pool_, db::Scope::AllTenants(), db::Plane::kDeliver);
        return queue::QueueStore::CountAll(reader);
    }
    static model::DeliveryOutcome Result(ResultClass result) {
        model::DeliveryOutcome out;
        out.result = result;
        return out;
    }
    Outcome From(std::shared_ptr<ClaimedRecipient> work, ResultClass result) {
        return FromTransport(std::move(work), Result(result), {}, clock_.now, 0.5);
    }

    StillClock clock_;
    crypto::SystemRandom random_;
    base::UuidSource ids_{clock_, random_};
    const model::TenantId tenant_{ids_.Next()};
    const model::EmailId email_{ids_.Next()};
    test::TempDb db_;
    std::unique_ptr<db::Pool> pool_;
};

TEST_P(OutcomeRecorderTest, AcceptedMailIsSentAndLeavesTheQueue) {
    Apply(From(Claim(), ResultClass::kOk));
    EXPECT_EQ(Recipient(), "sent");
    EXPECT_EQ(Message(), "sent");
    EXPECT_EQ(LastEvent(), "email.sent");
    EXPECT_EQ(Waiting(), 0);
}

TEST_P(OutcomeRecorderTest, DeferredMailWaitsAndIsClaimedWhenDue) {
    Apply(From(Claim(), ResultClass::kTemp));
    EXPECT_EQ(Recipient(), "deferred");
    EXPECT_EQ(LastEvent(), "email.delivery_delayed");
    EXPECT_EQ(Claim(), nullptr);
    clock_.now = clock_.now + minutes(1);
    const auto again = Claim();
    ASSERT_NE(again, nullptr);
    EXPECT_EQ(again->row.tries, 1);
    Apply(From(again, ResultClass::kOk));
    EXPECT_EQ(Recipient(), "sent");
}

TEST_P(OutcomeRecorderTest, MailThatIsTooOldExpiresWithAnEvent) {
    clock_.now = clock_.now + hours(49);
    Apply(Expired(Claim()));
    EXPECT_EQ(Recipient(), "expired");
    EXPECT_EQ(Message(), "expired");
    EXPECT_EQ(LastEvent(), "email.failed");
    EXPECT_EQ(Waiting(), 0);
}

TEST_P(OutcomeRecorderTest, AnUnknownOutcomeThatGetsTooOldEndsAsWell) {
    Apply(From(Claim(), ResultClass::kOkUnknown));
    EXPECT_EQ(Recipient(), "unknown");
    clock_.now = clock_.now + hours(49);
    Apply(Expired(Claim()));
    EXPECT_EQ(Recipient(), "expired");
    EXPECT_EQ(Waiting(), 0);
}

TEST_P(OutcomeRecorderTest, AResultOfALostLeaseChangesNothing) {
    const auto first = Claim("first");
    clock_.now = clock_.now + minutes(3);
    {
        db::Transaction tx(*pool_, db::Plane::kDeliver, db::Scope::AllTenants());
        queue::QueueStore::Reclaim(tx, queue::QueueStore::Expired(tx, clock_.now, "", 10), "ready");
        tx.Commit();
    }
    const auto second = Claim("second");
    ASSERT_NE(second, nullptr);
    EXPECT_GT(second->lease.fence, first->lease.fence);
    Apply(From(first, ResultClass::kPermRecipient));
    EXPECT_EQ(Recipient(), "queued");
    EXPECT_EQ(LastEvent(), "nothing");
    EXPECT_EQ(Waiting(), 1);
    Apply(From(second, ResultClass::kOk));
    EXPECT_EQ(Recipient(), "sent");
}

TEST_P(OutcomeRecorderTest, ARecordedOutcomeIsNotRecordedTwice) {
    const auto work = Claim();
    Apply(From(work, ResultClass::kOk));
    Apply(From(work, ResultClass::kPermRecipient));
    EXPECT_EQ(Recipient(), "sent");
    EXPECT_EQ(Text("SELECT CAST(COUNT(*) AS TEXT) FROM events"), "1");
}

INSTANTIATE_TEST_SUITE_P(
    Both,
    OutcomeRecorderTest,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& dialect) { return test::DialectName(dialect.param); }
);

}  // namespace
}  // namespace opensend::delivery
