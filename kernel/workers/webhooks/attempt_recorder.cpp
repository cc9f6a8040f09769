#include "kernel/workers/webhooks/attempt_recorder.h"

#include "kernel/access/audit.h"
#include "kernel/base/text.h"
#include "kernel/events/event_log.h"
#include "kernel/json/writer.h"
#include "kernel/resources/webhooks/webhook_store.h"
#include "kernel/runtime/log.h"

namespace opensend::webhook_delivery {
namespace {

constexpr std::string_view kReason = "continuous_failure";

}  // namespace

void AttemptRecorder::Note(webhooks::EndpointHealth& health, const webhooks::AttemptRecord& record)
    const {
    const webhooks::ClaimedDelivery& delivery = record.delivery;
    if (record.next_status == "success") {
        health = {};
        health.proven = true;
        return;
    }
    ++health.failures;
    if (!health.failing_since) health.failing_since = record.started_at;
    if (!health.is_open()) return;
    const bool mine = !health.probe || *health.probe == delivery.id;
    if (!mine) return;
    // One whose ladder ended makes room for another.
    health.probe = record.next_status == "pending" ? std::optional(delivery.id) : std::nullopt;
}

bool AttemptRecorder::SwitchOff(
    db::Session& tx, const webhooks::EndpointQueue::Key& key, const webhooks::EndpointHealth& health
) {
    const auto& [tenant, id] = key;
    auto hook = webhooks::WebhookStore::Find(tx, tenant, id);
    if (!hook || !hook->is_enabled()) return false;
    const base::Time now = clock_.Now();
    hook->status = "disabled";
    hook->disabled_reason = std::string(kReason);
    hook->updated_at = now;
    webhooks::WebhookStore::Save(tx, tenant, *hook);
    webhooks::WebhookStore::StopDeliveries(tx, tenant, id);
    json::Writer data;
    data.BeginObject().Field("webhook_id", id.ToString()).Field("endpoint", hook->endpoint);
    data.Field("reason", kReason).Field("since", health.failing_since);
    data.Field("failed_attempts", health.failures).EndObject();
    const model::EventId event(ids_.Next());
    events::Append(
        tx, {event, tenant, model::EventType::kWebhookDisabled, now, id.ToString(), data.text(),
             base::Cat("webhook.disabled:", event.ToString())}
    );
    access::AuditEntry entry;
    entry.tenant = tenant;
    entry.action = "webhook.disabled";
    entry.target_type = "webhook";
    entry.target_id = id.ToString();
    entry.metadata = data.Take();
    entry.time = now;
    access::Audit(tx, ids_, entry);
    OPENSEND_LOG(
        kWarn, "webhooks.disabled", "an endpoint that kept failing was switched off",
        kv("webhook_id", id), kv("failed_attempts", health.failures)
    );
    return true;
}

bool AttemptRecorder::Apply(
    db::Session& tx, std::span<const webhooks::AttemptRecord* const> records
) {
    using webhooks::EndpointHealth;
    using webhooks::EndpointQueue;
    // The queues' locks come first, in one order, so that no two processes wait for each other.
    std::map<EndpointQueue::Key, std::optional<EndpointHealth>> healths;
    for (const auto* record : records) {
        healths.try_emplace({record->delivery.tenant, record->delivery.webhook});
    }
    for (auto& [key, health] : healths) {
        health = EndpointQueue::Lock(tx, key.first, key.second);
    }
    for (const auto* record : records) {
        if (!webhooks::DeliveryStore::Record(tx, *record, ids_)) continue;
        auto& health = healths[{record->delivery.tenant, record->delivery.webhook}];
        if (health) Note(*health, *record);
    }
    bool any = false;
    std::vector<EndpointQueue::Key> keys;
    for (auto& [key, health] : healths) {
        if (!health) continue;
        const bool tried = health->failures >= kDisableFailures && health->failing_since;
        if (tried && clock_.Now() - *health->failing_since >= options_.disable_after) {
            any = SwitchOff(tx, key, *health) || any;
        }
        EndpointQueue::Save(tx, key, *health);
        keys.push_back(key);
    }
    EndpointQueue::Requeue(tx, keys);
    return any;
}

}  // namespace opensend::webhook_delivery
