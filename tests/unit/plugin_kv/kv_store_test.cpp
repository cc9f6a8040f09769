#include "kernel/resources/plugin_kv/kv_store.h"

#include <gtest/gtest.h>

#include "kernel/db/migrator.h"
#include "tests/support/temp_db.h"

namespace opensend::plugin_kv {
namespace {

using model::KvVerdict;
using std::chrono::nanoseconds;
using std::chrono::seconds;

class MovableClock final : public base::Clock {
public:
    base::Time Now() const override { return now; }
    base::MonoTime Mono() const override { return {now.us * 1000}; }
    base::Time now{1'700'000'000'000'000};
};

class KvStoreTest : public testing::TestWithParam<db::Dialect> {
protected:
    KvStoreTest() : database(GetParam()), pool(database.Open()) { db::Migrate(*pool, clock.Now()); }
    KvVerdict Put(
        std::string_view key,
        std::string_view value,
        uint64_t expected,
        nanoseconds ttl = nanoseconds(0)
    ) {
        return store.Put("a", key, value, expected, ttl, 100);
    }
    MovableClock clock;
    test::TempDb database;
    std::unique_ptr<db::Pool> pool;
    DbKvStore store{*pool, clock};
};

TEST_P(KvStoreTest, AValueIsReplacedUnderItsVersionOnly) {
    EXPECT_FALSE(store.Get("a", "k"));
    EXPECT_EQ(Put("k", "one", 0), KvVerdict::kDone);
    EXPECT_EQ(Put("k", "two", 0), KvVerdict::kConflict);
    const auto first = store.Get("a", "k");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->value, "one");
    EXPECT_EQ(Put("k", "two", first->version), KvVerdict::kDone);
    EXPECT_EQ(Put("k", "three", first->version), KvVerdict::kConflict);
    EXPECT_EQ(store.Get("a", "k")->value, "two");
    EXPECT_EQ(Put("absent", "x", 7), KvVerdict::kConflict);
}

TEST_P(KvStoreTest, SpacesKnowNothingOfEachOther) {
    Put("k", "a's", 0);
    EXPECT_FALSE(store.Get("b", "k"));
    EXPECT_EQ(store.Put("b", "k", "b's", 0, nanoseconds(0), 100), KvVerdict::kDone);
    EXPECT_EQ(store.Get("a", "k")->value, "a's");
}

TEST_P(KvStoreTest, KeysAndValuesAreBytes) {
    const std::string odd("\0\xff%_'", 5);
    EXPECT_EQ(Put(odd, odd, 0), KvVerdict::kDone);
    EXPECT_EQ(store.Get("a", odd)->value, odd);
    EXPECT_EQ(Put("empty", "", 0), KvVerdict::kDone);
    EXPECT_EQ(store.Get("a", "empty")->value, "");
}

TEST_P(KvStoreTest, TheQuotaCountsKeysAndValuesOfTheSpace) {
    EXPECT_EQ(Put("k1", std::string(60, 'x'), 0), KvVerdict::kDone);
    EXPECT_EQ(Put("k2", std::string(60, 'x'), 0), KvVerdict::kOverQuota);
    EXPECT_EQ(Put("k2", std::string(36, 'x'), 0), KvVerdict::kDone);
    const auto first = store.Get("a", "k1");
    EXPECT_EQ(Put("k1", std::string(61, 'x'), first->version), KvVerdict::kOverQuota);
    EXPECT_EQ(Put("k1", "small", first->version), KvVerdict::kDone) << "what it replaces is free";
}

TEST_P(KvStoreTest, AValueEndsWithItsTime) {
    EXPECT_EQ(Put("k", "v", 0, seconds(10)), KvVerdict::kDone);
    const auto first = store.Get("a", "k");
    ASSERT_TRUE(first);
    clock.now.us += 11'000'000;
    EXPECT_FALSE(store.Get("a", "k"));
    EXPECT_EQ(Put("k", "late", first->version), KvVerdict::kConflict);
    EXPECT_EQ(Put("k", "again", 0), KvVerdict::kDone);
    EXPECT_NE(store.Get("a", "k")->version, first->version) << "an old version never fits again";
}

TEST_P(KvStoreTest, OnlyTheVersionThatStandsIsDeleted) {
    Put("k", "v", 0);
    const auto entry = store.Get("a", "k");
    EXPECT_EQ(store.Delete("a", "k", entry->version + 1), KvVerdict::kConflict);
    EXPECT_EQ(store.Delete("a", "k", entry->version), KvVerdict::kDone);
    EXPECT_EQ(store.Delete("a", "k", entry->version), KvVerdict::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(
    Both,
    KvStoreTest,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& dialect) { return test::DialectName(dialect.param); }
);

}  // namespace
}  // namespace opensend::plugin_kv
