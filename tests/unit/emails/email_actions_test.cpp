#include "kernel/resources/emails/email_actions.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/crypto/random.h"
#include "kernel/db/migrator.h"
#include "kernel/db/transaction.h"
#include "kernel/json/value.h"
#include "kernel/resources/emails/email_explain.h"
#include "kernel/resources/emails/email_history.h"
#include "kernel/resources/emails/email_store.h"
#include "tests/support/temp_db.h"

namespace opensend::emails {
namespace {

using model::EmailStatus;
using std::chrono::hours;
using std::chrono::minutes;
using testing::ElementsAre;
using testing::HasSubstr;

class FixedClock final : public base::Clock {
public:
    base::Time Now() const override { return now; }
    base::MonoTime Mono() const override { return {}; }
    base::Time now{1'772'442'930'000'000};
};

/// Messages of two tenants in a fresh database, as acceptance leaves them.
class EmailActionsTest : public testing::TestWithParam<db::Dialect> {
protected:
    EmailActionsTest() : db_(GetParam()), pool_(db_.Open()) {
        db::Migrate(*pool_, clock_.now);
        for (const auto& tenant : {tenant_, other_}) {
            Run("INSERT INTO orgs (id, name, state, timezone, created_at) VALUES ($1, 'o', "
                "'active', 'Europe/Oslo', 1)",
                {tenant});
        }
    }
    void Run(const char* sql, const db::Params& params) {
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        tx.Execute({"", sql}, params);
        tx.Commit();
    }
    std::string Text(const char* sql, const db::Params& params = {}) {
        db::Reader reader(*pool_, db::Scope::AllTenants());
        const auto row = reader.First({"", sql}, params);
        return row ? row->Text(0) : "nothing";
    }
    model::EmailId Accept(int recipients = 1, bool scheduled = false) {
        AcceptedEmail accepted;
        accepted.email.id = model::EmailId(ids_.Next());
        accepted.email.tenant = tenant_;
        accepted.email.from_domain = "a.example";
        accepted.email.actor = "api_key:k";
        accepted.email.recipient_count = recipients;
        accepted.email.created_at = clock_.now;
        accepted.email.status = scheduled ? EmailStatus::kScheduled : EmailStatus::kQueued;
        const base::Time due = scheduled ? clock_.now + hours(1) : clock_.now;
        if (scheduled) accepted.email.scheduled_at = due;
        for (int64_t i = 0; i < recipients; ++i) {
            RecipientRow recipient;
            recipient.ordinal = i;
            recipient.address = recipient.match_key = base::Cat('r', i, "@c.example");
            recipient.kind = "to";
            accepted.recipients.push_back(recipient);
            queue::QueueRow row;
            row.email = accepted.email.id;
            row.tenant = tenant_;
            row.ordinal = i;
            row.due_at = row.first_due_at = due;
            accepted.queue.push_back(row);
        }
        const AcceptedEmail* const all[] = {&accepted};
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        EmailStore::Insert(tx, all, ids_);
        tx.Commit();
        return accepted.email.id;
    }
    size_t Claim(int limit = 10) {
        db::Transaction tx(*pool_, db::Plane::kDeliver, db::Scope::AllTenants());
        std::string turn;
        const auto rows = queue::QueueStore::Claim(
            tx, queue::Lane::kTransactional, "worker", clock_.now, clock_.now + minutes(2), limit,
            turn
        );
        tx.Commit();
        return rows.size();
    }
    /// The code of the refusal; "" when it worked.
    std::string Cancel(const model::EmailId& id, EmailStatus* status = nullptr) {
        try {
            db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope(tenant_));
            const auto ended = EmailActions(ids_, clock_.now).Cancel(tx, tenant_, id, "api_key:k");
            tx.Commit();
            if (status != nullptr) *status = ended.status;
            return ended.changed ? "" : "unchanged";
        } catch (const base::Error& error) {
            return error.reason();
        }
    }
    std::string Reschedule(const model::EmailId& id, base::Time due) {
        try {
            db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope(tenant_));
            EmailActions(ids_, clock_.now).Reschedule(tx, tenant_, id, due, "api_key:k");
            tx.Commit();
            return "";
        } catch (const base::Error& error) {
            return error.reason();
        }
    }
    db::Page<HistoryRow> History(const model::EmailId& id, const db::PageRequest& page = {}) {
        db::Reader reader(*pool_, db::Scope(tenant_));
        return EmailHistory::List(reader, tenant_, id, page);
    }
    std::vector<std::string> Moves(const model::EmailId& id) {
        std::vector<std::string> out;
        for (const HistoryRow& row : History(id).rows) {
            out.push_back(row.from_status.value_or("-") + ">" + row.to_status);
        }
        return out;
    }
    std::string Explain(const model::EmailId& id) {
        db::Reader reader(*pool_, db::Scope(tenant_));
        return ExplainAsJson(reader, *EmailStore::Find(reader, tenant_, id), clock_.now, hours(48));
    }

    test::TempDb db_;
    std::unique_ptr<db::Pool> pool_;
    FixedClock clock_;
    crypto::SystemRandom random_;
    base::UuidSource ids_{clock_, random_};
    const model::TenantId tenant_{ids_.Next()}, other_{ids_.Next()};
};

TEST_P(EmailActionsTest, ACanceledMessageIsOutOfTheQueueAndToldOnce) {
    const auto id = Accept();
    EmailStatus status = EmailStatus::kQueued;
    EXPECT_EQ(Cancel(id, &status), "");
    EXPECT_EQ(status, EmailStatus::kCanceled);
    EXPECT_EQ(Cancel(id), "unchanged");
    EXPECT_EQ(Claim(), 0u);
    EXPECT_EQ(Text("SELECT status || last_event FROM emails"), "canceledcanceled");
    EXPECT_EQ(Text("SELECT status FROM recipients"), "canceled");
    EXPECT_EQ(Text("SELECT CAST(COUNT(*) AS TEXT) FROM events WHERE type = 'email.canceled'"), "1");
    EXPECT_THAT(Moves(id), ElementsAre("accepted>queued", "queued>canceled"));
    EXPECT_THAT(
        Text("SELECT data FROM events"),
        HasSubstr(R"("canceled":{"actor":"api_key:k","reason":null})")
    );
}

TEST_P(EmailActionsTest, WhatAWorkerHoldsCannotBeCanceledNorRescheduled) {
    const auto id = Accept(3);
    ASSERT_EQ(Claim(1), 1u);
    EXPECT_EQ(Cancel(id), "email_not_cancelable");
    EXPECT_EQ(Text("SELECT status FROM emails"), "queued");
    EXPECT_EQ(Text("SELECT CAST(COUNT(*) AS TEXT) FROM queue"), "3");
    EXPECT_EQ(Reschedule(id, clock_.now + hours(1)), "email_not_editable");
}

TEST_P(EmailActionsTest, FinishedRecipientsKeepTheirResult) {
    const auto id = Accept(3);
    Run("DELETE FROM queue WHERE ordinal = 1", {});
    Run("UPDATE recipients SET status = 'delivered' WHERE ordinal = 1", {});
    EmailStatus status = EmailStatus::kQueued;
    EXPECT_EQ(Cancel(id, &status), "");
    EXPECT_EQ(status, EmailStatus::kDelivered);
    EXPECT_EQ(Text("SELECT status FROM recipients WHERE ordinal = 1"), "delivered");
    EXPECT_EQ(Text("SELECT status FROM recipients WHERE ordinal = 2"), "canceled");
    EXPECT_EQ(Text("SELECT CAST(COUNT(*) AS TEXT) FROM queue"), "0");
    EXPECT_EQ(History(id).rows.size(), 4u);
}

TEST_P(EmailActionsTest, OnlyStatesOfWaitingCanBeCanceled) {
    for (const char* status : {"held", "deferred", "scheduled", "queued"}) {
        const auto id = Accept();
        Run("UPDATE emails SET status = $1 WHERE id = $2", {status, id});
        if (std::string_view(status) != "scheduled") {
            Run("UPDATE recipients SET status = $1 WHERE email_id = $2", {status, id});
        }
        EXPECT_EQ(Cancel(id), "") << status;
    }
    for (const char* status : {"sent", "unknown", "delivered", "bounced", "failed", "suppressed"}) {
        const auto id = Accept();
        Run("UPDATE emails SET status = $1 WHERE id = $2", {status, id});
        Run("UPDATE recipients SET status = $1 WHERE email_id = $2", {status, id});
        EXPECT_EQ(Cancel(id), "email_not_cancelable") << status;
        EXPECT_EQ(Text("SELECT status FROM emails WHERE id = $1", {id}), status);
    }
}

TEST_P(EmailActionsTest, AnotherTenantsMessageIsNotFound) {
    const auto id = Accept(1, true);
    db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope(other_));
    EmailActions actions(ids_, clock_.now);
    EXPECT_THROW(actions.Cancel(tx, other_, id, "x"), base::Error);
    EXPECT_THROW(actions.Reschedule(tx, other_, id, clock_.now + hours(2), "x"), base::Error);
    EXPECT_TRUE(EmailHistory::List(tx, other_, id, {}).rows.empty());
}

TEST_P(EmailActionsTest, ARescheduledMessageWaitsForItsNewTime) {
    const auto id = Accept(2, true);
    const base::Time due = clock_.now + hours(5);
    EXPECT_EQ(Reschedule(id, due), "");
    clock_.now = clock_.now + hours(2);
    EXPECT_EQ(Claim(), 0u);
    EXPECT_EQ(Text("SELECT CAST(scheduled_at AS TEXT) FROM emails"), std::to_string(due.us));
    EXPECT_EQ(Text("SELECT CAST(MIN(first_due_at) AS TEXT) FROM queue"), std::to_string(due.us));
    const std::string data = Text("SELECT data FROM events");
    EXPECT_THAT(data, HasSubstr(R"("rescheduled":true)"));
    EXPECT_THAT(data, HasSubstr(R"("previous_scheduled_at":"2026-03-02T10:15:30.000Z")"));
    EXPECT_EQ(Reschedule(id, due + hours(1)), "") << "a second one is an event of its own";
    EXPECT_EQ(Text("SELECT CAST(COUNT(*) AS TEXT) FROM events"), "2");
    clock_.now = due + hours(2);
    EXPECT_EQ(Claim(), 2u);
}

TEST_P(EmailActionsTest, OnlyScheduledMailHasATimeToChange) {
    const auto id = Accept();
    EXPECT_EQ(Reschedule(id, clock_.now + hours(1)), "email_not_editable");
    const auto canceled = Accept(1, true);
    EXPECT_EQ(Cancel(canceled), "");
    EXPECT_EQ(Reschedule(canceled, clock_.now + hours(1)), "email_not_editable");
}

TEST_P(EmailActionsTest, ACancelThatRacesAWorkerWinsBeforeTheLeaseOrIsRefused) {
    for (int round = 0; round < 20; ++round) {
        const auto id = Accept(2);
        std::atomic<int> canceled{0};
        std::atomic<size_t> claimed{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                if (Cancel(id).empty()) ++canceled;
            });
        }
        threads.emplace_back([&] { claimed += Claim(); });
        for (auto& thread : threads) thread.join();
        ASSERT_EQ(canceled.load() == 1, claimed.load() == 0) << "round " << round;
        ASSERT_LE(canceled.load(), 1);
        EXPECT_EQ(
            Text("SELECT status FROM emails WHERE id = $1", {id}),
            canceled.load() == 1 ? "canceled" : "queued"
        );
        Run("DELETE FROM queue", {});
    }
}

TEST_P(EmailActionsTest, TheHistoryHasPagesInBothDirections) {
    const auto id = Accept(1, true);
    for (int i = 1; i <= 5; ++i) ASSERT_EQ(Reschedule(id, clock_.now + hours(i + 1)), "");
    const auto all = History(id).rows;
    ASSERT_EQ(all.size(), 6u);
    const auto first = History(id, {2, std::nullopt, std::nullopt});
    EXPECT_TRUE(first.has_more);
    EXPECT_EQ(first.rows[1].id, all[1].id);
    const auto next = History(id, {4, all[1].id.ToString(), std::nullopt});
    EXPECT_FALSE(next.has_more);
    EXPECT_EQ(next.rows.front().id, all[2].id);
    const auto back = History(id, {2, std::nullopt, all[4].id.ToString()});
    EXPECT_TRUE(back.has_more);
    ASSERT_EQ(back.rows.size(), 2u);
    EXPECT_EQ(back.rows[0].id, all[2].id);
    EXPECT_EQ(back.rows[1].id, all[3].id);
    json::Writer out;
    WriteHistoryItem(out, all[1]);
    EXPECT_THAT(out.text(), HasSubstr(R"("type":"email.scheduled")"));
    EXPECT_THAT(out.text(), HasSubstr(R"("rescheduled":true)"));
}

TEST_P(EmailActionsTest, AnExplanationSaysWhatIsWaitedFor) {
    const auto later = Accept(1, true);
    EXPECT_THAT(Explain(later), HasSubstr(R"("why":{"code":"not_due")"));
    EXPECT_THAT(Explain(later), HasSubstr(R"("expires_at":"2026-03-04T10:15:30.000Z")"));
    const auto now = Accept(1);
    EXPECT_THAT(Explain(now), HasSubstr(R"("code":"ready")"));
    ASSERT_EQ(Claim(), 1u);
    EXPECT_THAT(Explain(now), HasSubstr(R"("status":"sending","why":{"code":"lease_held")"));
    EXPECT_THAT(Explain(now), HasSubstr(R"("lease":{"owner":"worker")"));
    Run("UPDATE queue SET lease_until = 0, reason = 'no_route' WHERE email_id = $1", {now});
    EXPECT_THAT(Explain(now), HasSubstr(R"("code":"no_route")"));
    Run("UPDATE queue SET phase = 5, reason = 'poison' WHERE email_id = $1", {now});
    EXPECT_THAT(Explain(now), HasSubstr(R"("code":"poison")"));
    EXPECT_EQ(Cancel(later), "");
    EXPECT_THAT(Explain(later), HasSubstr(R"("code":"terminal")"));
    EXPECT_THAT(Explain(later), HasSubstr(R"("expires_at":null,"lease":null,"route":null)"));
}

TEST_P(EmailActionsTest, TheZoneOfTheTenantIsKnown) {
    db::Reader reader(*pool_, db::Scope(tenant_));
    EXPECT_EQ(EmailStore::TimeZone(reader, tenant_), "Europe/Oslo");
}

INSTANTIATE_TEST_SUITE_P(
    Databases,
    EmailActionsTest,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& tested) { return test::DialectName(tested.param); }
);

}  // namespace
}  // namespace opensend::emails
