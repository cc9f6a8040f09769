#include "kernel/db/migrator.h"

#include <future>

#include <gmock/gmock.h>

#include "tests/unit/db/db_test.h"

namespace opensend::db {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class MigratorOnBoth : public OnBoth {
protected:
    using Steps = std::vector<base::EmbeddedFile>;
    std::vector<std::string> Apply(const Steps& steps) { return Migrate(*pool_, steps, {42}); }

    static constexpr base::EmbeddedFile kFirst = {
        "0001_one.sql",
        "-- what it is for; and more\n"
        "CREATE TABLE one (\n"
        "    id TEXT NOT NULL PRIMARY KEY,\n"
        "    body {blob} NOT NULL\n"
        ");\n"
        "\n"
        "CREATE INDEX one_body ON one (body);\n"
        "INSERT INTO one (id, body) VALUES ('a;b', '');  \n"};
    static constexpr base::EmbeddedFile kSecond = {
        "0007_two.sql", "ALTER TABLE one ADD COLUMN more BIGINT;"};
};
OPENSEND_ON_BOTH(MigratorOnBoth);

TEST_P(MigratorOnBoth, StepsAreAppliedOnceInOrder) {
    MigrationStatus status = CheckMigrations(*pool_, Steps{kFirst, kSecond});
    EXPECT_EQ(status.current, 0);
    EXPECT_EQ(status.target, 7);
    EXPECT_THAT(status.pending, ElementsAre("0001_one", "0007_two"));

    EXPECT_THAT(Apply({kFirst}), ElementsAre("0001_one"));
    EXPECT_THAT(Apply({kFirst}), IsEmpty());
    EXPECT_THAT(Apply({kFirst, kSecond}), ElementsAre("0007_two"));

    status = CheckMigrations(*pool_, Steps{kFirst, kSecond});
    EXPECT_EQ(status.current, 7);
    EXPECT_THAT(status.pending, IsEmpty());
    const auto row =
        Reader(*pool_, Scope::AllTenants())
            .First(
                {"", "SELECT name, applied_at, checksum FROM schema_migrations WHERE version = 1"},
                {}
            );
    EXPECT_EQ(row->Text(0), "0001_one");
    EXPECT_EQ(row->Time(1).us, 42);
    EXPECT_EQ(row->Text(2).size(), 64u);
    EXPECT_EQ(
        Reader(*pool_, Scope::AllTenants()).First({"", "SELECT id, more FROM one"}, {})->Text(0),
        "a;b"
    );
}

TEST_P(MigratorOnBoth, AChangedStepIsRefused) {
    Apply({kFirst});
    const Steps changed = {
        {kFirst.name, "CREATE TABLE other (id BIGINT);"},
        kSecond
    };
    EXPECT_EQ(CodeOf([&] { Apply(changed); }), base::ErrorCode::kInternal);
    EXPECT_EQ(CodeOf([&] { CheckMigrations(*pool_, changed); }), base::ErrorCode::kInternal);
    EXPECT_THAT(CheckMigrations(*pool_, Steps{kFirst, kSecond}).pending, ElementsAre("0007_two"));
}

TEST_P(MigratorOnBoth, AStepThatFailsLeavesNothing) {
    const base::EmbeddedFile bad = {
        "0002_bad.sql", "CREATE TABLE two (id BIGINT);\nCREATE TABLE one (id BIGINT);\n"};
    EXPECT_EQ(CodeOf([&] { Apply({kFirst, bad}); }), base::ErrorCode::kInternal);
    EXPECT_EQ(CheckMigrations(*pool_, Steps{kFirst, bad}).current, 1);
    EXPECT_THROW(
        Reader(*pool_, Scope::AllTenants()).Execute({"", "SELECT id FROM two"}, {}), base::Error
    );
    const base::EmbeddedFile good = {"0002_bad.sql", "CREATE TABLE two (id BIGINT);\n"};
    EXPECT_THAT(Apply({kFirst, good}), ElementsAre("0002_bad"));
}

TEST_P(MigratorOnBoth, TwoAtOnceApplyEachStepOnce) {
    const auto second = db_.Open();
    const auto apply = [](Pool& pool) {
        return Migrate(pool, Steps{kFirst, kSecond}, {42}).size();
    };
    auto other = std::async(std::launch::async, [&] { return apply(*second); });
    const size_t mine = apply(*pool_);
    EXPECT_EQ(mine + other.get(), 2u);
}

TEST_P(MigratorOnBoth, ADatabaseAheadOfTheProgramIsSeen) {
    Apply({kFirst, kSecond});
    const MigrationStatus status = CheckMigrations(*pool_, Steps{kFirst});
    EXPECT_GT(status.current, status.target);
}

TEST_P(MigratorOnBoth, TheEmbeddedStepsApply) {
    const auto steps = EmbeddedMigrations();
    EXPECT_EQ(Migrate(*pool_, {42}).size(), steps.size());
    EXPECT_THAT(CheckMigrations(*pool_).pending, IsEmpty());
}

}  // namespace
}  // namespace opensend::db
