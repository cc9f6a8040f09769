#include <filesystem>

#include "tests/unit/db/db_test.h"

namespace opensend::db {
namespace {

class Sqlite : public testing::Test {
protected:
    Sqlite() {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        tx.Execute({"", "CREATE TABLE t (id BIGINT PRIMARY KEY, body BLOB)"}, {});
        tx.Commit();
    }

    test::TempDb db_{Dialect::kSqlite};
    std::unique_ptr<Pool> pool_ = db_.Open();
};

TEST_F(Sqlite, CommitsAreSyncedToTheWriteAheadLog) {
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    EXPECT_EQ(tx.First({"", "PRAGMA journal_mode"}, {})->Text(0), "wal");
    EXPECT_EQ(tx.First({"", "PRAGMA synchronous"}, {})->Int(0), 2);
    EXPECT_EQ(tx.First({"", "PRAGMA foreign_keys"}, {})->Int(0), 1);
    EXPECT_EQ(tx.First({"", "PRAGMA busy_timeout"}, {})->Int(0), 5000);
    Reader reader(*pool_, Scope::AllTenants());
    EXPECT_EQ(reader.First({"", "PRAGMA query_only"}, {})->Int(0), 1);
    EXPECT_EQ(reader.First({"", "PRAGMA busy_timeout"}, {})->Int(0), 5000);
}

TEST_F(Sqlite, AHeldReaderDoesNotBlockTheCheckpoint) {
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    for (int i = 0; i < 100; ++i)
        tx.Change({"t.insert", "INSERT INTO t (id, body) VALUES ($1, $2)"}, {i, Blob{"xx"}});
    tx.Commit();
    Reader reader(*pool_, Scope::AllTenants());
    // First() leaves rows behind; a statement that was not reset would pin the log.
    EXPECT_TRUE(reader.First({"t.all", "SELECT id, body FROM t"}, {}));
    EXPECT_THROW(
        reader.Execute({"t.bad", "SELECT abs(-9223372036854775807 - 1)"}, {}), base::Error
    );
    const auto other = db_.Open();
    Reader checkpointer(*other, Scope::AllTenants());
    const Row row = *checkpointer.First({"", "PRAGMA wal_checkpoint(TRUNCATE)"}, {});
    EXPECT_EQ(row.Int(0), 0) << "busy";
    const std::string log = db_.url().substr(std::string("sqlite:").size()) + "-wal";
    EXPECT_EQ(std::filesystem::file_size(log), 0u);
}

TEST_F(Sqlite, AFullDatabaseSaysSoAndRecovers) {
    {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        tx.Execute({"", "PRAGMA max_page_count = 40"}, {});
        tx.Commit();
    }
    try {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        tx.Change(
            {"t.insert", "INSERT INTO t (id, body) VALUES ($1, $2)"},
            {1, Blob{std::string(1'000'000, 'x')}}
        );
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::ErrorCode::kUnavailable);
        EXPECT_EQ(error.reason(), "storage_full");
    }
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    tx.Change({"t.insert", "INSERT INTO t (id, body) VALUES ($1, $2)"}, {1, Blob{"x"}});
    tx.Commit();
    EXPECT_EQ(
        Reader(*pool_, Scope::AllTenants())
            .First({"t.count", "SELECT COUNT(*) FROM t"}, {})
            ->Int(0),
        1
    );
}

TEST_F(Sqlite, AFileThatIsNoDatabaseIsRefused) {
    const std::string path = db_.url().substr(std::string("sqlite:").size()) + ".other";
    std::filesystem::copy_file("/proc/self/exe", path);
    PoolOptions options;
    options.url = base::Secret("sqlite:" + path);
    EXPECT_EQ(CodeOf([&] { Pool::Open(std::move(options)); }), base::ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace opensend::db
