#include "kernel/db/guards.h"

#include "kernel/db/migrator.h"
#include "kernel/model/ids.h"
#include "tests/unit/db/db_test.h"

namespace opensend::db {
namespace {

const model::TenantId kOne = *model::TenantId::Parse("019b76da-a800-7000-8000-000000000001");
const model::TenantId kTwo = *model::TenantId::Parse("019b76da-a800-7000-8000-000000000002");

constexpr Query kAddOrg{"test.org", R"sql(
    INSERT INTO orgs (id, name, state, timezone, created_at) VALUES ($1, 'o', 'active', 'UTC', 1))sql"};
constexpr Query kAddSuppression{"test.suppression", R"sql(
    INSERT INTO suppressions (id, org_id, match_key, email, origin, reason, created_at)
    VALUES ($1, $2, $3, $3, 'manual', 'manual', 1))sql"};
constexpr Query kOwnKeys{
    "test.own", "SELECT match_key FROM suppressions WHERE org_id = $1 ORDER BY match_key"};
constexpr Query kAllKeys{"test.all", "SELECT match_key FROM suppressions ORDER BY match_key"};
constexpr Query kClearKeys{"test.clear", "UPDATE suppressions SET note = 'seen'"};
constexpr Query kDropKeys{"test.drop", "DELETE FROM suppressions"};

class Guards : public testing::TestWithParam<Dialect> {
protected:
    Guards() : db_(GetParam()), pool_(db_.Open()) {
        Migrate(*pool_, base::Time{1});
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        for (const auto& tenant : {kOne, kTwo}) tx.Change(kAddOrg, {tenant});
        tx.Change(kAddSuppression, {"s1", kOne, "a@one.example"});
        tx.Change(kAddSuppression, {"s2", kTwo, "b@two.example"});
        tx.Commit();
    }
    bool postgres() const { return GetParam() == Dialect::kPostgres; }
    static std::string Joined(const Rows& rows) {
        std::string out;
        for (const Row& row : rows) out += row.Text(0) + ' ';
        return out;
    }

    test::TempDb db_;
    std::unique_ptr<Pool> pool_;
};

class PostgresGuards : public Guards {};

TEST_P(Guards, ATenantReadsItsOwnRowsAndWorkersReadAll) {
    EXPECT_EQ(Joined(Reader(*pool_, Scope(kOne)).Execute(kOwnKeys, {kOne})), "a@one.example ");
    EXPECT_EQ(
        Joined(Reader(*pool_, Scope::AllTenants()).Execute(kAllKeys, {})),
        "a@one.example b@two.example "
    );
}

TEST_P(Guards, AStatementThatForgetsTheTenantFindsNoForeignRow) {
    Reader reader(*pool_, Scope(kOne));
    if (postgres()) {
        EXPECT_EQ(Joined(reader.Execute(kAllKeys, {})), "a@one.example ");
        EXPECT_EQ(Joined(reader.Execute(kOwnKeys, {kTwo})), "");
    } else {
        EXPECT_EQ(CodeOf([&] { reader.Execute(kAllKeys, {}); }), base::ErrorCode::kInternal);
    }
}

TEST_P(Guards, AChangeThatForgetsTheTenantTouchesNoForeignRow) {
    for (const Query& query : {kClearKeys, kDropKeys}) {
        Transaction tx(*pool_, Plane::kAccept, Scope(kTwo));
        if (postgres()) {
            EXPECT_EQ(tx.Change(query, {}), 1);
            tx.Commit();
        }
    }
    const std::string left = Joined(Reader(*pool_, Scope::AllTenants()).Execute(kAllKeys, {}));
    EXPECT_EQ(left, postgres() ? "a@one.example " : "a@one.example b@two.example ");
}

TEST_P(PostgresGuards, ARowForAnotherTenantIsRefusedByTheServer) {
    Transaction tx(*pool_, Plane::kAccept, Scope(kOne));
    EXPECT_EQ(
        CodeOf([&] {
            tx.Change(kAddSuppression, {"s3", kTwo, "c@two.example"});
        }),
        base::ErrorCode::kInternal
    );
}

/// A login of its own, gone with the object.
class PlainLogin {
public:
    PlainLogin(const test::TempDb& db, const std::string& name, const std::string& rights)
        : db_(db), name_(name) {
        db_.Administer("DROP ROLE IF EXISTS " + name_);
        db_.Administer("CREATE ROLE " + name_ + " LOGIN PASSWORD 'plain' " + rights);
        db_.Administer("GRANT ALL ON SCHEMA public TO " + name_);
    }
    ~PlainLogin() {
        db_.Administer("DROP OWNED BY " + name_ + " CASCADE");
        db_.Administer("DROP ROLE " + name_);
    }
    PlainLogin(const PlainLogin&) = delete;
    PlainLogin& operator=(const PlainLogin&) = delete;

    std::unique_ptr<Pool> Open() const {
        std::string url = db_.url();
        const size_t user = url.find("://") + 3;
        url.replace(user, url.rfind('@') - user, name_ + ":plain");
        PoolOptions options = db_.options();
        options.url = base::Secret(url);
        return Pool::Open(std::move(options));
    }

private:
    const test::TempDb& db_;
    const std::string name_;
};

TEST(PlainLogins, OneThatMayMakeRolesOwnsADatabaseWithTheWall) {
    test::TempDb db(Dialect::kPostgres);
    const PlainLogin login(db, "opensend_plain_owner", "CREATEROLE");
    // As an administrator would when the roles are there already.
    db.Administer(
        "DO 'BEGIN CREATE ROLE opensend_app NOLOGIN; EXCEPTION WHEN duplicate_object THEN "
        "NULL; END'"
    );
    const auto pool = login.Open();
    Migrate(*pool, base::Time{1});
    Transaction tx(*pool, Plane::kAccept, Scope::AllTenants());
    for (const auto& tenant : {kOne, kTwo}) tx.Change(kAddOrg, {tenant});
    tx.Change(kAddSuppression, {"s1", kOne, "a@one.example"});
    tx.Change(kAddSuppression, {"s2", kTwo, "b@two.example"});
    tx.Commit();
    EXPECT_EQ(Reader(*pool, Scope(kOne)).Execute(kAllKeys, {}).size(), 1u);
    EXPECT_EQ(Reader(*pool, Scope::AllTenants()).Execute(kAllKeys, {}).size(), 2u);
    RaiseGuards(*pool);
}

TEST_P(Guards, TheTenantOfATransactionDoesNotOutliveIt) {
    for (int round = 0; round < 20; ++round) {
        const auto& tenant = round % 2 == 0 ? kOne : kTwo;
        Transaction tx(*pool_, Plane::kAccept, Scope(tenant));
        EXPECT_EQ(tx.Execute(kOwnKeys, {tenant}).size(), 1u);
        tx.Commit();
        EXPECT_EQ(Reader(*pool_, Scope::AllTenants()).Execute(kAllKeys, {}).size(), 2u);
    }
}

TEST_P(PostgresGuards, ATenantCannotReadTheKeysOfTheInstance) {
    Reader reader(*pool_, Scope(kOne));
    EXPECT_EQ(
        CodeOf([&] {
            reader.Execute({"", "SELECT material FROM instance_keys"}, {});
        }),
        base::ErrorCode::kInternal
    );
}

TEST_P(Guards, TheAuditLogRefusesChangesUntilACheckpointFollows) {
    const auto add = [&](int sequence, const char* action) {
        Transaction tx(*pool_, Plane::kAccept, Scope(kOne));
        tx.Change(
            {"test.audit", R"sql(
                INSERT INTO audit_log (org_id, sequence, id, created_at, action, target_type,
                                       target_id, actor_type, entry, prev_hash, hash)
                VALUES ($1, $2, $3, 1, $4, 't', 't', 'system', '{}', '', ''))sql"},
            {kOne, sequence, std::to_string(sequence), action}
        );
        tx.Commit();
    };
    const auto change = [&](const char* sql) {
        Transaction tx(*pool_, Plane::kDashboard, Scope::AllTenants());
        tx.Change({"", sql}, {});
        tx.Commit();
    };
    add(1, "domain.created");
    add(2, "domain.deleted");
    EXPECT_ANY_THROW(change("UPDATE audit_log SET entry = 'x'"));
    EXPECT_ANY_THROW(change("DELETE FROM audit_log WHERE sequence = 1"));
    add(3, "audit.checkpoint");
    EXPECT_ANY_THROW(change("UPDATE audit_log SET entry = 'x' WHERE sequence = 1"));
    change("DELETE FROM audit_log WHERE sequence = 1");
    EXPECT_ANY_THROW(change("DELETE FROM audit_log WHERE sequence = 3"));
}

TEST_P(Guards, RaisingThemAgainChangesNothing) {
    RaiseGuards(*pool_);
    RaiseGuards(*pool_);
    const auto again = db_.Open();
    EXPECT_EQ(Joined(Reader(*again, Scope(kOne)).Execute(kOwnKeys, {kOne})), "a@one.example ");
}

INSTANTIATE_TEST_SUITE_P(
    Databases, PostgresGuards, testing::Values(Dialect::kPostgres), NameOfParam
);
INSTANTIATE_TEST_SUITE_P(
    Databases, Guards, testing::Values(Dialect::kSqlite, Dialect::kPostgres), NameOfParam
);

}  // namespace
}  // namespace opensend::db
