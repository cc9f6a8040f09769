#include "kernel/access/own_limits.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include <gmock/gmock.h>

#include "kernel/access/key_directory.h"
#include "kernel/access/rate_watch.h"
#include "kernel/crypto/keyring.h"
#include "kernel/crypto/random.h"
#include "kernel/db/migrator.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/api_keys/api_key_store.h"
#include "kernel/resources/organizations/organization_store.h"
#include "tests/support/temp_db.h"

namespace opensend::access {
namespace {

using testing::ElementsAre;

TEST(OwnLimitsText, IsReadAsItWasWritten) {
    const OwnLimits limits = {
        {"org.send", {"200/s", 5'000, 20'000}  },
        {"org.api",  {"1/d", 86'400'000'000, 1}}
    };
    EXPECT_EQ(ReadOwnLimits(WriteOwnLimits(limits)), limits);
    EXPECT_EQ(WriteOwnLimits({}), "{}");
    EXPECT_TRUE(ReadOwnLimits("{}").empty());
}

TEST(OwnLimitsText, OfTheKeyComesBeforeThatOfItsOrganization) {
    EXPECT_EQ(RatesOf("{}", "{}"), nullptr);
    const std::string org = WriteOwnLimits({
        {"key.api", {"1/s", 1'000'000, 5}},
        {"org.api", {"2/s", 500'000, 6}  }
    });
    const std::string key = WriteOwnLimits({
        {"key.api", {"4/s", 250'000, 7}}
    });
    const auto rates = RatesOf(org, key);
    ASSERT_NE(rates, nullptr);
    ASSERT_EQ(rates->size(), 2u);
    EXPECT_EQ(rates->at(0).bucket, "key.api");
    EXPECT_EQ(rates->at(0).burst, 7u);
    EXPECT_EQ(rates->at(1).bucket, "org.api");
    EXPECT_EQ(rates->at(1).emission_us, 500'000u);
}

class SteppedClock final : public base::Clock {
public:
    base::Time Now() const override { return base::Time{us.load()}; }
    base::MonoTime Mono() const override { return base::MonoTime{us.load() * 1'000}; }
    std::atomic<int64_t> us{1'700'000'000'000'000};
};

/// Fails as long as it is told to.
class Failing final : public model::RateLimiter {
public:
    model::RateVerdict Acquire(std::span<const model::RateBucket> buckets, bool) override {
        model::RateVerdict verdict;
        verdict.store_failed = failing;
        verdict.buckets.resize(buckets.size());
        return verdict;
    }
    void Refund(std::span<const model::RateBucket>) override {}
    const std::string& name() const override { return name_; }
    std::atomic<bool> failing{true};

private:
    const std::string name_ = "failing";
};

class StoredLimits : public testing::TestWithParam<db::Dialect> {
protected:
    StoredLimits() : db_(GetParam()), pool_(db_.Open()) {
        db::Migrate(*pool_, base::Time{1});
        With([&](db::Session& tx) {
            for (const auto& tenant : {tenant_, other_}) {
                organizations::Organization org;
                org.id = tenant;
                org.name = "o";
                organizations::OrganizationStore::Insert(tx, org);
            }
            api_keys::ApiKey key;
            key.id = key_;
            api_keys::ApiKeyStore::Insert(tx, tenant_, key, {"ref", "mac", 1}, base::Time{1});
        });
    }
    template <class F>
    void With(F&& f) {
        db::Transaction tx(*pool_, db::Plane::kDashboard, db::Scope::AllTenants());
        f(tx);
        tx.Commit();
    }
    std::vector<std::string> Actions(const model::TenantId& tenant) {
        db::Reader reader(*pool_, db::Scope::AllTenants());
        std::vector<std::string> actions;
        for (const auto& row : reader.Execute(
                 {"", "SELECT action FROM audit_log WHERE org_id = $1 ORDER BY sequence"}, {tenant}
             )) {
            actions.push_back(row.Text(0));
        }
        return actions;
    }
    void WaitForActions(size_t count) {
        for (int i = 0; i < 500 && Actions(tenant_).size() < count; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }

    base::SystemClock system_clock_;
    crypto::SystemRandom random_;
    base::UuidSource ids_{system_clock_, random_};
    const model::TenantId tenant_{ids_.Next()}, other_{ids_.Next()};
    const model::ApiKeyId key_{ids_.Next()};
    SteppedClock clock_;
    test::TempDb db_;
    std::unique_ptr<db::Pool> pool_;
};

TEST_P(StoredLimits, AreKnownToEveryNodeAfterASecond) {
    const auto keyring = crypto::Keyring::Make(
        base::Secret("7f7f7f7f7f7f7f7f3c19ab04d5e6f7083c19ab04d5e6f7083c19ab04d5e6f708"), {}
    );
    ASSERT_TRUE(keyring.ok());
    const InstanceKeys keys(*pool_, *keyring);
    KeyDirectory directory(*pool_, keys, clock_);
    EXPECT_EQ(directory.FindKey(key_)->rates, nullptr);
    With([&](db::Session& tx) {
        organizations::OrganizationStore::SetRateLimits(
            tx, tenant_,
            WriteOwnLimits({
                {"org.api", {"2/s", 500'000, 6}}
        })
        );
        api_keys::ApiKeyStore::SetRateLimits(
            tx, tenant_, key_,
            WriteOwnLimits({
                {"key.api", {"4/s", 250'000, 7}}
        })
        );
    });
    EXPECT_EQ(directory.FindKey(key_)->rates, nullptr) << "asked the database before its time";
    clock_.us += 1'000'001;
    const auto rates = directory.FindKey(key_)->rates;
    ASSERT_NE(rates, nullptr);
    EXPECT_EQ(rates->size(), 2u);
}

TEST_P(StoredLimits, BelongToOneTenant) {
    With([&](db::Session& tx) {
        api_keys::ApiKeyStore::SetRateLimits(tx, other_, key_, R"({"x":1})");
        organizations::OrganizationStore::SetRateLimits(tx, other_, R"({"y":1})");
        EXPECT_EQ(api_keys::ApiKeyStore::RateLimits(tx, tenant_, key_), "{}");
        EXPECT_EQ(api_keys::ApiKeyStore::RateLimits(tx, other_, key_), std::nullopt);
        EXPECT_EQ(organizations::OrganizationStore::RateLimits(tx, tenant_), "{}");
        api_keys::ApiKeyStore::Revoke(tx, tenant_, key_, base::Time{2});
        EXPECT_EQ(api_keys::ApiKeyStore::RateLimits(tx, tenant_, key_), std::nullopt);
    });
}

TEST_P(StoredLimits, AnOutageStandsInTheAuditLogOfThoseItTouched) {
    Failing store;
    RateGate gate(
        &store, nullptr,
        {
            {"org.api", {1'000, 10}},
            {"key.api", {1'000, 10}}
    },
        RateGate::OnFailure::kOpen
    );
    const RateWatch watch(gate, *pool_, ids_, system_clock_);
    model::Principal caller;
    caller.tenant = tenant_;
    RateHeaders headers;
    gate.ChargeRequest(caller, {}, headers);
    gate.ChargeRequest(caller, {}, headers);
    WaitForActions(1);
    EXPECT_THAT(Actions(tenant_), ElementsAre("rate_limit.store_failed"));
    store.failing = false;
    WaitForActions(2);
    EXPECT_THAT(Actions(tenant_), ElementsAre("rate_limit.store_failed", "rate_limit.recovered"));
    EXPECT_TRUE(Actions(other_).empty());
    EXPECT_EQ(gate.outage().state(), RateOutage::State::kWell);
}

INSTANTIATE_TEST_SUITE_P(
    Both,
    StoredLimits,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& each) { return test::DialectName(each.param); }
);

}  // namespace
}  // namespace opensend::access
