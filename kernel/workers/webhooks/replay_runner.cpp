#include "kernel/workers/webhooks/replay_runner.h"

#include <algorithm>

#include "kernel/base/error.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/webhooks/delivery_store.h"
#include "kernel/resources/webhooks/replay_store.h"
#include "kernel/resources/webhooks/webhook_store.h"
#include "kernel/runtime/log.h"

namespace opensend::webhook_delivery {
namespace {

constexpr std::chrono::milliseconds kAsk{1'000};

}  // namespace

ReplayRunner::ReplayRunner(
    db::Pool& pool, base::UuidSource& ids, const base::Clock& clock, std::function<void()> added
) {
    worker_ = std::make_unique<runtime::Worker>(
        "hook-replays",
        [&pool, &ids, &clock, added = std::move(added)](runtime::StopToken& stop) {
            while (!stop.stopped()) {
                bool worked = false;
                try {
                    worked = RunOnce(pool, ids, clock);
                } catch (const base::Error& error) {
                    OPENSEND_LOG(
                        kError, "webhooks.replay_failed", "a replay could not go on",
                        kv("detail", error.what())
                    );
                }
                if (worked) {
                    added();
                } else {
                    stop.SleepFor(kAsk);
                }
            }
        }
    );
}

bool ReplayRunner::RunOnce(db::Pool& pool, base::UuidSource& ids, const base::Clock& clock) {
    db::Transaction tx(pool, db::Plane::kEvents, db::Scope::AllTenants());
    auto job = webhooks::ReplayStore::Take(tx);
    if (!job) return false;
    const auto hook = webhooks::WebhookStore::Find(tx, job->tenant, job->webhook);
    const int64_t limit = hook && hook->is_enabled() ? std::min(job->remaining, kBatch) : 0;
    const auto events = webhooks::ReplayStore::Next(tx, *job, limit);
    webhooks::DeliveryStore::AddAll(tx, job->tenant, job->webhook, events, ids, clock.Now());
    job->remaining -= static_cast<int64_t>(events.size());
    if (events.empty() || job->remaining <= 0) {
        webhooks::ReplayStore::Remove(tx, *job);
    } else {
        webhooks::ReplayStore::Save(tx, *job);
    }
    tx.Commit();
    return true;
}

}  // namespace opensend::webhook_delivery
