#include <future>

#include "kernel/db/backend/postgres_session.h"
#include "tests/unit/db/db_test.h"

namespace opensend::db {
namespace {

class Postgres : public testing::Test {
protected:
    Postgres() {
        PoolOptions options = db_.options();
        options.accept = options.dashboard = 1;
        pool_ = Pool::Open(std::move(options));
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        tx.Execute({"", "CREATE TABLE t (id BIGINT PRIMARY KEY)"}, {});
        tx.Commit();
    }
    void KillConnections() {
        db_.Administer(
            "SELECT COUNT(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
            "WHERE application_name = 'opensend' AND datname = current_database()"
        );
    }
    void Insert(int64_t id) {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        tx.Change(insert_, {id});
        tx.Commit();
    }
    int64_t Count() { return Reader(*pool_, Scope::AllTenants()).First(count_, {})->Int(0); }

    const Query insert_ = {"t.insert", "INSERT INTO t (id) VALUES ($1)"};
    const Query count_ = {"t.count", "SELECT COUNT(*) FROM t"};
    test::TempDb db_{Dialect::kPostgres};
    std::unique_ptr<Pool> pool_;
};

TEST_F(Postgres, AnIdleConnectionThatWasKilledIsReplaced) {
    Insert(1);
    EXPECT_EQ(Count(), 1);
    KillConnections();
    Insert(2);
    EXPECT_EQ(Count(), 2);
}

TEST_F(Postgres, AConnectionKilledWhileReadingThrowsAndTheNextWorks) {
    {
        Reader reader(*pool_, Scope::AllTenants());
        reader.Execute(count_, {});
        KillConnections();
        EXPECT_EQ(CodeOf([&] { reader.Execute(count_, {}); }), base::ErrorCode::kUnavailable);
    }
    EXPECT_EQ(Count(), 0);
}

TEST_F(Postgres, AConnectionKilledInATransactionThrowsAndTheNextWorks) {
    {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        tx.Change(insert_, {1});
        KillConnections();
        EXPECT_EQ(CodeOf([&] { tx.Change(insert_, {2}); }), base::ErrorCode::kUnavailable);
        EXPECT_EQ(CodeOf([&] { tx.Commit(); }), base::ErrorCode::kInternal);
    }
    Insert(3);
    EXPECT_EQ(Count(), 1);
}

TEST_F(Postgres, AConnectionKilledBeforeTheCommitThrows) {
    {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        tx.Change(insert_, {1});
        KillConnections();
        EXPECT_EQ(CodeOf([&] { tx.Commit(); }), base::ErrorCode::kUnavailable);
    }
    EXPECT_EQ(Count(), 0);
}

TEST_F(Postgres, AConnectionKilledBeforeManyThrowsAndTheNextWorks) {
    const std::vector<Params> rows = {{1}, {2}, {3}};
    {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        tx.Change(insert_, {9});
        KillConnections();
        EXPECT_EQ(CodeOf([&] { tx.ChangeEach(insert_, rows); }), base::ErrorCode::kUnavailable);
    }
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    EXPECT_EQ(tx.ChangeEach(insert_, rows), 3);
    tx.Commit();
    EXPECT_EQ(Count(), 3);
}

TEST_F(Postgres, TwoConnectionsInDeadlockAreToldToRetry) {
    Insert(1);
    Insert(2);
    const Query lock = {"t.lock", "SELECT id FROM t WHERE id = $1 {for_update}"};
    Transaction a(*pool_, Plane::kAccept, Scope::AllTenants());
    Transaction b(*pool_, Plane::kDeliver, Scope::AllTenants());
    a.Execute(lock, {1});
    b.Execute(lock, {2});
    auto other = std::async(std::launch::async, [&] {
        try {
            b.Execute(lock, {1});
            return true;
        } catch (const base::Error& error) {
            EXPECT_EQ(error.code(), base::ErrorCode::kUnavailable);
            return false;
        }
    });
    bool mine = true;
    try {
        a.Execute(lock, {2});
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::ErrorCode::kUnavailable);
        mine = false;
        // Lets the other one go on.
        EXPECT_EQ(CodeOf([&] { a.Commit(); }), base::ErrorCode::kInternal);
    }
    EXPECT_NE(mine, other.get());
}

TEST_F(Postgres, TextForABlobColumnIsRefused) {
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    tx.Execute({"", "CREATE TABLE b (body {blob})"}, {});
    EXPECT_EQ(
        CodeOf([&] {
            tx.Change({"b.insert", "INSERT INTO b (body) VALUES ($1)"}, {"\\x41"});
        }),
        base::ErrorCode::kInternal
    );
}

TEST_F(Postgres, ChangedColumnsOfAPreparedStatementCostOneFailure) {
    const Query all = {"t.all", "SELECT * FROM t"};
    Reader(*pool_, Scope::AllTenants()).Execute(all, {});
    db_.Administer("ALTER TABLE t ADD COLUMN more TEXT");
    EXPECT_THROW(Reader(*pool_, Scope::AllTenants()).Execute(all, {}), base::Error);
    EXPECT_TRUE(Reader(*pool_, Scope::AllTenants()).Execute(all, {}).empty());
}

TEST_F(Postgres, APasswordMayHoldAnythingButBlanks) {
    EXPECT_NE(
        PostgresConnectionText("postgres://u:a%5Cb%27c%3Dd%22@/x?host=/run/s")
            .find(R"(password=a\\b\'c=d")"),
        std::string::npos
    );
    db_.Administer(R"(CREATE ROLE opensend_odd LOGIN PASSWORD 'a\b''c=d"')");
    std::string url = db_.url();
    const size_t user = url.find("://") + 3;
    url.replace(user, url.rfind('@') - user, "opensend_odd:a%5Cb%27c%3Dd%22");
    PoolOptions options = db_.options();
    options.url = base::Secret(url);
    {
        const auto pool = Pool::Open(std::move(options));
        EXPECT_EQ(
            Reader(*pool, Scope::AllTenants())
                .First({"t.user", "SELECT CAST(current_user AS TEXT)"}, {})
                ->Text(0),
            "opensend_odd"
        );
    }
    db_.Administer("DROP ROLE opensend_odd");
}

TEST_F(Postgres, CommitsAreDurable) {
    for (const Plane plane : {Plane::kAccept, Plane::kDeliver, Plane::kEvents, Plane::kDashboard}) {
        const auto row = Reader(*pool_, Scope::AllTenants(), plane)
                             .First(
                                 {"t.settings",
                                  "SELECT current_setting('synchronous_commit'), "
                                  "current_setting('application_name'), "
                                  "current_setting('statement_timeout')"},
                                 {}
                             );
        EXPECT_EQ(row->Text(0), "on");
        EXPECT_EQ(row->Text(1), "opensend");
        EXPECT_EQ(row->Text(2), "10s");
    }
}

}  // namespace
}  // namespace opensend::db
