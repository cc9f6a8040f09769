#include "kernel/resources/suppressions/suppression_store.h"

#include <gmock/gmock.h>

#include "tests/unit/webhooks/webhooks_db.h"

namespace opensend::suppressions {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SuppressionStoreTest : public test::WebhooksDb {
protected:
    Suppression Make(const std::string& key, const std::string& reason = "manual") {
        Suppression entry;
        entry.id = model::SuppressionId(ids_.Next());
        entry.match_key = entry.email = key;
        entry.origin = "manual";
        entry.reason = reason;
        entry.created_at = clock_.now;
        return entry;
    }
    bool Put(const model::TenantId& tenant, const Suppression& entry) {
        return InTransaction([&](db::Session& tx) {
            return SuppressionStore::Add(tx, tenant, entry);
        });
    }
    std::vector<std::string> Keys(const SuppressionFilter& filter) {
        db::Reader reader(*pool_, db::Scope(first_));
        std::vector<std::string> out;
        for (const auto& one : SuppressionStore::List(reader, first_, filter, {}).rows) {
            out.push_back(one.match_key);
        }
        std::sort(out.begin(), out.end());
        return out;
    }
};

TEST_P(SuppressionStoreTest, AnExistingEntryStaysAndAComplaintRaisesItsReason) {
    const Suppression entry = Make("a@b.co");
    EXPECT_TRUE(Put(first_, entry));
    clock_.now = clock_.now + std::chrono::hours(1);
    EXPECT_FALSE(Put(first_, Make("a@b.co", "bounced")));
    const auto find = [&] {
        db::Reader reader(*pool_, db::Scope(first_));
        return *SuppressionStore::Find(reader, first_, "a@b.co");
    };
    EXPECT_EQ(find().reason, "manual");
    EXPECT_FALSE(Put(first_, Make("a@b.co", "complained")));
    EXPECT_EQ(find().reason, "complained");
    EXPECT_EQ(find().id, entry.id);
    EXPECT_EQ(find().created_at, entry.created_at);
    EXPECT_EQ(find().updated_at, clock_.now);
    EXPECT_TRUE(Put(second_, Make("a@b.co")));
}

TEST_P(SuppressionStoreTest, ManyAreAddedAndTheNewOnesNamed) {
    Put(first_, Make("a@b.co"));
    const std::vector<Suppression> many = {
        Make("a@b.co", "complained"), Make("b@b.co"), Make("b@b.co"), Make("c@b.co")};
    const auto added =
        InTransaction([&](db::Session& tx) { return SuppressionStore::AddAll(tx, first_, many); });
    EXPECT_THAT(added, testing::UnorderedElementsAre(many[1].id, many[3].id));
    EXPECT_THAT(Keys({.reason = "complained"}), ElementsAre("a@b.co"));
}

TEST_P(SuppressionStoreTest, FiltersTakeTheirSignsLiterally) {
    for (const char* key : {"a_b@x.co", "acb@x.co", "a%b@y.co", "a!b@sub.x.co"}) {
        Put(first_, Make(key));
    }
    Put(second_, Make("a_b@x.co"));
    EXPECT_THAT(Keys({.search = "a_"}), ElementsAre("a_b@x.co"));
    EXPECT_THAT(Keys({.search = "a%"}), ElementsAre("a%b@y.co"));
    EXPECT_THAT(Keys({.search = "a!"}), ElementsAre("a!b@sub.x.co"));
    EXPECT_THAT(Keys({.domain = "x.co"}), ElementsAre("a_b@x.co", "acb@x.co"));
    EXPECT_THAT(Keys({.origin = "bounce"}), IsEmpty());
    EXPECT_THAT(Keys({.match_key = "acb@x.co"}), ElementsAre("acb@x.co"));
    EXPECT_THAT(Keys({.created_after = clock_.now + std::chrono::seconds(1)}), IsEmpty());
}

TEST_P(SuppressionStoreTest, OnlyTheTenantsOwnEntryIsRemovedAndOnlyOnce) {
    const Suppression entry = Make("a@b.co");
    Put(first_, entry);
    const auto remove = [&](const model::TenantId& tenant) {
        return InTransaction([&](db::Session& tx) {
            return SuppressionStore::Remove(tx, tenant, entry.id);
        });
    };
    EXPECT_FALSE(remove(second_));
    EXPECT_TRUE(remove(first_));
    EXPECT_FALSE(remove(first_));
}

INSTANTIATE_TEST_SUITE_P(
    Databases,
    SuppressionStoreTest,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& one) { return test::DialectName(one.param); }
);

}  // namespace
}  // namespace opensend::suppressions
