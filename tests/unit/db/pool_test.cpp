#include <chrono>
#include <future>

#include "tests/unit/db/db_test.h"

namespace opensend::db {
namespace {

class PoolOnBoth : public OnBoth {
protected:
    std::unique_ptr<Pool> Small() {
        PoolOptions options = db_.options();
        options.readers = options.accept = options.deliver = options.dashboard = 1;
        options.statement_timeout = base::Duration(200'000);
        return Pool::Open(std::move(options));
    }
};
OPENSEND_ON_BOTH(PoolOnBoth);

TEST_P(PoolOnBoth, AnExhaustedPoolWaitsAndThenThrows) {
    const auto pool = Small();
    auto held = pool->Read(Plane::kDashboard, Scope::AllTenants());
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(
        CodeOf([&] { pool->Read(Plane::kDashboard, Scope::AllTenants()); }),
        base::ErrorCode::kUnavailable
    );
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(190));
    held.reset();
    EXPECT_NE(pool->Read(Plane::kDashboard, Scope::AllTenants()), nullptr);
}

TEST_P(PoolOnBoth, AWaitingReaderGetsWhatIsGivenBack) {
    PoolOptions options = db_.options();
    options.readers = options.dashboard = 1;
    const auto pool = Pool::Open(std::move(options));
    auto held = pool->Read(Plane::kDashboard, Scope::AllTenants());
    auto waiting = std::async(std::launch::async, [&] {
        return pool->Read(Plane::kDashboard, Scope::AllTenants()) != nullptr;
    });
    EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
    held.reset();
    EXPECT_TRUE(waiting.get());
}

TEST_P(PoolOnBoth, ASecondTransactionWaitsAndThenThrows) {
    const auto pool = Small();
    auto held = std::make_unique<Transaction>(*pool, Plane::kAccept, Scope::AllTenants());
    EXPECT_EQ(
        CodeOf([&] { Transaction(*pool, Plane::kAccept, Scope::AllTenants()); }),
        base::ErrorCode::kUnavailable
    );
    held.reset();
    Transaction(*pool, Plane::kAccept, Scope::AllTenants()).Commit();
}

TEST_P(PoolOnBoth, AStatementThatTakesTooLongEnds) {
    const auto pool = Small();
    Reader reader(*pool, Scope::AllTenants());
    const Query endless = {
        "t.endless",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE i < 2000000000) SELECT COUNT(*) FROM n"};
    EXPECT_EQ(CodeOf([&] { reader.Execute(endless, {}); }), base::ErrorCode::kUnavailable);
    EXPECT_EQ(reader.First({"t.one", "SELECT COUNT(*) FROM items"}, {})->Int(0), 0);
}

TEST_P(PoolOnBoth, ManyThreadsReadAndWriteAtOnce) {
    std::vector<std::future<void>> threads;
    for (int t = 0; t < 8; ++t)
        threads.push_back(std::async(std::launch::async, [this, t] {
            for (int i = 0; i < 25; ++i) {
                Insert(std::to_string(t) + "-" + std::to_string(i));
                CountItems();
            }
        }));
    for (auto& thread : threads) thread.get();
    EXPECT_EQ(CountItems(), 200);
}

TEST(Pool, AnUnusableUrlIsUnavailable) {
    for (const char* url :
         {"mysql://x", "", "sqlite:", "sqlite:/no/such/folder/x.db",
          "postgres://u:a%20b@127.0.0.1/x", "postgres://u:pw@127.0.0.1/x?no_such_option=1",
          "postgres://u:secret-word@127.0.0.1:1/x"}) {
        PoolOptions options;
        options.url = base::Secret(url);
        options.wait = base::Duration(100'000);
        try {
            Pool::Open(std::move(options));
            FAIL() << url;
        } catch (const base::Error& error) {
            EXPECT_EQ(error.code(), base::ErrorCode::kUnavailable);
            EXPECT_EQ(error.reason(), "database_unavailable");
            EXPECT_EQ(error.detail().find("secret-word"), std::string::npos) << error.detail();
            EXPECT_FALSE(error.detail().empty());
        }
    }
}

TEST(Pool, AMemoryDatabaseServesReadersAndTheWriter) {
    PoolOptions options;
    options.url = base::Secret(std::string("sqlite::memory:"));
    const auto pool = Pool::Open(std::move(options));
    Transaction tx(*pool, Plane::kAccept, Scope::AllTenants());
    tx.Execute({"", "CREATE TABLE t (id BIGINT)"}, {});
    tx.Commit();
    EXPECT_TRUE(
        Reader(*pool, Scope::AllTenants()).Execute({"t.all", "SELECT id FROM t"}, {}).empty()
    );
}

}  // namespace
}  // namespace opensend::db
