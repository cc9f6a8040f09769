#include "kernel/access/audit.h"

#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include <gmock/gmock.h>

#include "kernel/base/time.h"
#include "kernel/crypto/random.h"
#include "kernel/db/migrator.h"
#include "kernel/db/transaction.h"
#include "tests/support/temp_db.h"

namespace opensend::access {
namespace {

using testing::HasSubstr;
using testing::Not;

json::Document Vectors() {
    std::ifstream file(OPENSEND_SOURCE_DIR "/tests/vectors/audit-chain.json");
    std::ostringstream text;
    text << file.rdbuf();
    auto document = json::Document::Parse(text.str());
    EXPECT_TRUE(document.ok());
    return std::move(document).value();
}

std::optional<std::string> TextOf(json::Value value) {
    return value.IsString() ? std::optional(std::string(value.AsString())) : std::nullopt;
}

TEST(AuditChain, ReproducesTheVectors) {
    const json::Document document = Vectors();
    const json::Value entries = document.root().Find("entries");
    ASSERT_GE(entries.size(), 2u);
    std::string previous(kAuditStart);
    for (size_t i = 0; i < entries.size(); ++i) {
        const json::Value given = entries.At(i).Find("entry");
        const json::Value actor = given.Find("actor");
        AuditEntry entry;
        entry.tenant = *model::TenantId::Parse(given.Find("org_id").AsString());
        entry.action = given.Find("action").AsString();
        entry.target_type = given.Find("target_type").AsString();
        entry.target_id = given.Find("target_id").AsString();
        entry.actor = {
            std::string(actor.Find("type").AsString()), TextOf(actor.Find("id")),
            std::string(actor.Find("label").AsString())};
        entry.origin = {
            std::string(given.Find("source").AsString()), TextOf(given.Find("ip")),
            TextOf(given.Find("user_agent")), TextOf(given.Find("request_id"))};
        entry.metadata = json::Canonical(given.Find("metadata"));
        entry.time = *base::ParseIso(given.Find("created_at").AsString());
        const std::string text =
            AuditText(entry, given.Find("id").AsString(), given.Find("sequence").AsInt());
        EXPECT_EQ(text, entries.At(i).Find("canonical_json").AsString());
        EXPECT_EQ(entries.At(i).Find("prev_hash_hex").AsString(), previous);
        previous = AuditHash(previous, text);
        EXPECT_EQ(previous, entries.At(i).Find("hash_hex").AsString());
    }
}

TEST(AuditMetadata, LosesWhatSpeaksOfSecretsAndWhatIsTooMuch) {
    AuditEntry entry;
    std::string wide;
    for (int i = 0; i < 80; ++i) wide += ",\"k" + std::to_string(i) + "\":1";
    entry.metadata =
        R"({"Signing_Secret":"s1","apiToken":"s2","nested":{"password":"s3","ok":"kept"},)"
        R"("deep":{"a":{"b":{"c":{"d":{"e":{"f":"too far"}}}}}},"long":")" +
        std::string(3'000, 'x') + "\"" + wide + "}";
    const std::string text = AuditText(entry, "id", 1);
    for (const char* gone : {"s1", "s2", "s3", "too far", "\"k79\""}) {
        EXPECT_THAT(text, Not(HasSubstr(gone)));
    }
    EXPECT_THAT(text, HasSubstr("kept"));
    EXPECT_THAT(text, HasSubstr(std::string(1'000, 'x') + "\""));
}

class AuditLog : public testing::TestWithParam<db::Dialect> {
protected:
    AuditLog() : db_(GetParam()), pool_(db_.Open()) {
        db::Migrate(*pool_, base::Time{1});
        for (const auto& tenant : {tenant_, other_}) {
            Run("INSERT INTO orgs (id, name, state, timezone, created_at) "
                "VALUES ($1, 'o', 'active', 'UTC', 1)",
                {tenant});
        }
    }
    /// What only the owner of the database can do.
    void LiftGuards() {
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::Owner());
        const bool postgres = GetParam() == db::Dialect::kPostgres;
        tx.Execute(
            {"", postgres ? "DROP TRIGGER audit_log_stays ON audit_log"
                          : "DROP TRIGGER audit_log_stays"},
            {}
        );
        if (!postgres) tx.Execute({"", "DROP TRIGGER audit_log_keeps"}, {});
        tx.Commit();
    }
    void Run(const char* sql, const db::Params& params) {
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        tx.Execute({"test", sql}, params);
        tx.Commit();
    }
    void Write(const model::TenantId& tenant, int count, bool commit = true) {
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        for (int i = 0; i < count; ++i) {
            AuditEntry entry;
            entry.tenant = tenant;
            entry.action = "domain.created";
            entry.target_type = "domain";
            entry.target_id = std::to_string(i);
            Audit(tx, ids_, entry);
        }
        if (commit) tx.Commit();
    }
    std::optional<AuditBreak> Verify(const model::TenantId& tenant) {
        db::Reader reader(*pool_, db::Scope::AllTenants());
        return VerifyAudit(reader, tenant, &entries_);
    }

    base::SystemClock clock_;
    crypto::SystemRandom random_;
    base::UuidSource ids_{clock_, random_};
    model::TenantId tenant_{ids_.Next()}, other_{ids_.Next()};
    test::TempDb db_;
    std::unique_ptr<db::Pool> pool_;
    int64_t entries_ = 0;
};

TEST_P(AuditLog, CountsEachTenantOnItsOwn) {
    Write(tenant_, 3);
    Write(other_, 2);
    Write(tenant_, 600);
    Write(tenant_, 1, false);
    EXPECT_EQ(Verify(tenant_), std::nullopt);
    EXPECT_EQ(entries_, 603);
    EXPECT_EQ(Verify(other_), std::nullopt);
    EXPECT_EQ(entries_, 2);
}

TEST_P(AuditLog, ShowsAChangedEntry) {
    Write(tenant_, 3);
    LiftGuards();
    Run("UPDATE audit_log SET entry = $1 WHERE org_id = $2 AND sequence = 2", {"{}", tenant_});
    ASSERT_TRUE(Verify(tenant_));
    EXPECT_EQ(Verify(tenant_)->sequence, 2);
}

TEST_P(AuditLog, ShowsAMissingEntryInTheMiddleAndAtTheEnd) {
    Write(tenant_, 4);
    Write(other_, 4);
    LiftGuards();
    Run("DELETE FROM audit_log WHERE org_id = $1 AND sequence = 2", {tenant_});
    Run("DELETE FROM audit_log WHERE org_id = $1 AND sequence = 4", {other_});
    ASSERT_TRUE(Verify(tenant_));
    EXPECT_EQ(Verify(tenant_)->sequence, 2);
    ASSERT_TRUE(Verify(other_));
    EXPECT_EQ(Verify(other_)->sequence, 4);
}

TEST_P(AuditLog, HoldsAfterThePrefixWasRemoved) {
    Write(tenant_, 5);
    LiftGuards();
    Run("DELETE FROM audit_log WHERE org_id = $1 AND sequence < 4", {tenant_});
    EXPECT_EQ(Verify(tenant_), std::nullopt);
    EXPECT_EQ(entries_, 2);
}

INSTANTIATE_TEST_SUITE_P(
    Databases,
    AuditLog,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& each) { return test::DialectName(each.param); }
);

}  // namespace
}  // namespace opensend::access
