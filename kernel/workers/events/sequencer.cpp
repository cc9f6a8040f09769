#include "kernel/workers/events/sequencer.h"

#include "kernel/base/error.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/webhooks/delivery_store.h"
#include "kernel/runtime/crash_point.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"
#include "kernel/runtime/pulse.h"

namespace opensend::sequencer {
namespace {

constexpr db::Query kTenants{
    "sequencer.tenants", "SELECT DISTINCT org_id FROM events WHERE sequence IS NULL"};
constexpr db::Query kOpenCounter{"sequencer.open_counter", R"sql(
    INSERT INTO event_sequences (org_id, last) VALUES ($1, 0) ON CONFLICT (org_id) DO NOTHING)sql"};
constexpr db::Query kReadCounter{
    "sequencer.read_counter", "SELECT last FROM event_sequences WHERE org_id = $1 {for_update}"};
constexpr db::Query kPending{"sequencer.pending", R"sql(
    SELECT id, type, subject_id FROM events WHERE org_id = $1 AND sequence IS NULL ORDER BY id LIMIT 500)sql"};
constexpr db::Query kNumber{
    "sequencer.number", "UPDATE events SET sequence = $1 WHERE org_id = $2 AND id = $3"};
constexpr db::Query kAdvanceCounter{
    "sequencer.advance", "UPDATE event_sequences SET last = $1 WHERE org_id = $2"};

constexpr std::chrono::milliseconds kIdle{200};

}  // namespace

Sequencer::Sequencer(
    db::Pool& pool,
    base::UuidSource& ids,
    const base::Clock& clock,
    std::function<void()> wake_webhooks,
    std::function<void()> sequenced
)
    : pool_(pool),
      ids_(ids),
      clock_(clock),
      wake_webhooks_(std::move(wake_webhooks)),
      sequenced_(std::move(sequenced)) {
    worker_ = std::make_unique<runtime::Worker>("sequencer", [this](runtime::StopToken& stop) {
        while (!stop.stopped()) {
            runtime::Beat("events", kIdle, clock_.Now());
            int64_t numbered = 0;
            try {
                numbered = RunOnce();
            } catch (const base::Error& error) {
                OPENSEND_LOG(
                    kError, "sequencer.failed", "events could not be sequenced",
                    kv("detail", error.what())
                );
                stop.SleepFor(std::chrono::seconds(1));
            }
            if (numbered == 0) stop.SleepFor(kIdle);
        }
    });
}

int64_t Sequencer::RunOnce() {
    std::vector<std::string> tenants;
    {
        db::Reader reader(pool_, db::Scope::AllTenants(), db::Plane::kEvents);
        for (const db::Row& row : reader.Execute(kTenants, {})) tenants.push_back(row.Text(0));
    }
    int64_t numbered = 0;
    for (const std::string& tenant : tenants) numbered += SequenceTenant(tenant);
    return numbered;
}

int64_t Sequencer::SequenceTenant(const std::string& tenant_text) {
    const auto tenant = model::TenantId::Parse(tenant_text);
    OPENSEND_CHECK(tenant.has_value(), "a stored id is a UUID");
    db::Transaction tx(pool_, db::Plane::kEvents, db::Scope::AllTenants());
    tx.Change(kOpenCounter, {*tenant});
    int64_t last = tx.First(kReadCounter, {*tenant})->Int(0);
    const db::Rows pending = tx.Execute(kPending, {*tenant});
    if (pending.empty()) return 0;
    std::vector<db::Params> numbers;
    std::vector<webhooks::SequencedEvent> events;
    for (const db::Row& row : pending) {
        events.push_back({row.Id<model::EventId>(0), row.Text(1), row.Text(2)});
        numbers.push_back({++last, *tenant, events.back().id});
        runtime::Count("opensend_events_total", {row.Text(1)});
    }
    const int64_t deliveries =
        webhooks::DeliveryStore::FanOut(tx, *tenant, events, ids_, clock_.Now());
    tx.ChangeEach(kNumber, numbers);
    tx.Change(kAdvanceCounter, {last, *tenant});
    OPENSEND_CRASH_POINT("sequenced");
    tx.Commit();
    sequenced_();
    if (deliveries > 0) wake_webhooks_();
    return static_cast<int64_t>(numbers.size());
}

}  // namespace opensend::sequencer
