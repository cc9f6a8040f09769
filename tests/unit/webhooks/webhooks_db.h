#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel/base/text.h"
#include "kernel/crypto/random.h"
#include "kernel/db/migrator.h"
#include "kernel/db/transaction.h"
#include "kernel/events/event_log.h"
#include "kernel/resources/webhooks/delivery_log.h"
#include "kernel/resources/webhooks/delivery_store.h"
#include "kernel/resources/webhooks/webhook_store.h"
#include "tests/support/temp_db.h"

namespace opensend::test {

class MovedClock final : public base::Clock {
public:
    base::Time Now() const override { return now; }
    base::MonoTime Mono() const override { return base::SystemClock().Mono(); }
    base::Time now{1'700'000'000'000'000};
};

/// Two tenants in a fresh database and a clock that the test moves.
class WebhooksDb : public testing::TestWithParam<db::Dialect> {
protected:
    using EventIds = std::vector<model::EventId>;

    WebhooksDb() : db_(GetParam()), pool_(db_.Open()) {
        db::Migrate(*pool_, clock_.now);
        for (const auto& tenant : {first_, second_}) {
            Run("INSERT INTO orgs (id, name, state, timezone, created_at) VALUES ($1, 'o', "
                "'active', 'UTC', 1)",
                {tenant});
        }
    }
    template <class Work>
    auto InTransaction(Work work) {
        db::Transaction tx(*pool_, db::Plane::kEvents, db::Scope::AllTenants());
        auto out = work(tx);
        tx.Commit();
        return out;
    }
    void Run(const char* sql, const db::Params& params) {
        InTransaction([&](db::Session& tx) { return tx.Execute({"", sql}, params).size(); });
    }
    int64_t Number(const char* sql, const db::Params& params) {
        db::Reader reader(*pool_, db::Scope::AllTenants());
        return reader.First({"", sql}, params)->Int(0);
    }
    webhooks::Webhook Add(const model::TenantId& tenant, const char* types = R"(["*"])") {
        webhooks::Webhook hook;
        hook.id = model::WebhookId(ids_.Next());
        hook.endpoint = "https://hooks.example.com/";
        hook.event_types = types;
        hook.updated_at = clock_.now;
        return InTransaction([&](db::Session& tx) {
            webhooks::WebhookStore::Insert(tx, tenant, hook);
            return hook;
        });
    }
    /// An event a moment after the one before: ids of one moment have no order.
    model::EventId Write(
        const model::TenantId& tenant,
        model::EventType type = model::EventType::kSuppressionAdded,
        const std::string& subject = "s"
    ) {
        Tick();
        return WriteNow(tenant, type, subject);
    }
    void Tick() { clock_.now = clock_.now + std::chrono::milliseconds(1); }
    model::EventId WriteNow(
        const model::TenantId& tenant,
        model::EventType type = model::EventType::kSuppressionAdded,
        const std::string& subject = "s"
    ) {
        const model::EventId id(ids_.Next());
        return InTransaction([&](db::Session& tx) {
            events::Append(tx, {id, tenant, type, clock_.now, subject, "{}", id.ToString()});
            return id;
        });
    }
    std::vector<webhooks::EndpointTurn> Due() {
        return InTransaction([&](db::Session& tx) {
            return webhooks::EndpointQueue::Due(tx, clock_.now, {}, 100);
        });
    }
    /// What one process takes of the endpoint, as the sender does.
    std::vector<webhooks::ClaimedDelivery> Take(
        const webhooks::EndpointTurn& turn, int64_t limit, const std::string& owner = "me"
    ) {
        return InTransaction([&](db::Session& tx) {
            const webhooks::EndpointQueue::Claim claim{
                owner, webhooks::DeliveryStore::NextFence(tx), clock_.now,
                clock_.now + std::chrono::seconds(60)};
            auto taken = webhooks::EndpointQueue::Take(tx, turn, claim, limit);
            const webhooks::EndpointQueue::Key key{turn.tenant, turn.webhook};
            webhooks::EndpointQueue::Requeue(tx, {&key, 1});
            return taken;
        });
    }
    std::vector<webhooks::EventView> Events(
        const model::TenantId& tenant, const model::WebhookId& hook
    ) {
        db::Reader reader(*pool_, db::Scope(tenant));
        db::PageRequest page;
        page.limit = 100;
        return webhooks::DeliveryLog::Events(reader, {tenant, hook}, page).rows;
    }

    test::TempDb db_;
    std::unique_ptr<db::Pool> pool_;
    MovedClock clock_;
    crypto::SystemRandom random_;
    base::UuidSource ids_{clock_, random_};
    model::TenantId first_ = *model::TenantId::Parse("019b76da-a800-7000-8000-000000000001");
    model::TenantId second_ = *model::TenantId::Parse("019b76da-a800-7000-8000-000000000002");
};

}  // namespace opensend::test
