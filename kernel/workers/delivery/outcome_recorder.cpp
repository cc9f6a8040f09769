#include "kernel/workers/delivery/outcome_recorder.h"

#include <algorithm>
#include <map>
#include <set>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/events/event_log.h"
#include "kernel/json/writer.h"
#include "kernel/resources/emails/simulator.h"
#include "kernel/resources/suppressions/suppression_store.h"
#include "kernel/runtime/crash_point.h"
#include "kernel/runtime/metrics.h"

namespace opensend::delivery {
namespace {

using model::EmailStatus;

constexpr db::Query kBeginAttempt{"delivery.begin_attempt", R"sql(
    INSERT INTO attempts (id, org_id, email_id, ordinal, number, transport, uncertain, started_at,
                          stale, route)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9))sql"};
constexpr db::Query kEndAttempt{"delivery.end_attempt", R"sql(
    UPDATE attempts SET finished_at = $1, class = $2, smtp_code = $3, enhanced_code = $4, message = $5,
           remote_id = $6, remote_host = $7, remote_address = $8, tls = $9, stale = $10,
           transcript = $11
     WHERE org_id = $12 AND id = $13)sql"};
constexpr db::Query kStatuses{"delivery.statuses", R"sql(
    SELECT ordinal, status FROM recipients WHERE org_id = $1 AND email_id = $2
     ORDER BY ordinal {for_update})sql"};
constexpr db::Query kMoveRecipient{"delivery.move_recipient", R"sql(
    UPDATE recipients SET status = $1, version = version + 1, attempts = $2,
           suppression_reason = COALESCE($3, suppression_reason), last_error_code = $4,
           last_error_message = $5, updated_at = $6
     WHERE org_id = $7 AND email_id = $8 AND ordinal = $9)sql"};
constexpr db::Query kMoveEmail{"delivery.move_email", R"sql(
    UPDATE emails SET status = $1, last_event = $2, sent_at = COALESCE(sent_at, $3),
           retry_count = retry_count + $4, last_attempted_at = COALESCE($5, last_attempted_at),
           next_retry_at = $6, last_error_code = $7, last_error_message = $8
     WHERE org_id = $9 AND id = $10)sql"};
constexpr db::Query kAppendHistory{"delivery.append_history", R"sql(
    INSERT INTO email_history (id, org_id, email_id, ordinal, created_at, from_status, to_status,
                               actor, reason, event_id, ignored, details)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 'worker', $8, $9, $10, $11))sql"};

constexpr db::Query kRecipientUnknown{"delivery.recipient_unknown", R"sql(
    UPDATE recipients SET status = $1, version = version + 1, updated_at = $2
     WHERE org_id = $3 AND email_id = $4 AND ordinal = $5)sql"};
constexpr db::Query kEmailUnknown{"delivery.email_unknown", R"sql(
    UPDATE emails SET status = $1, last_event = $2 WHERE org_id = $3 AND id = $4)sql"};

/// Everything that one transaction writes, gathered first and sent in few round trips.
struct Writes {
    std::vector<db::Params> attempts, recipients, emails, history;
    std::vector<events::Event> events;
    struct LeaseRows {
        std::vector<queue::QueueRow> finished;
        std::map<std::string, std::vector<queue::QueueRow>> released;  // by reason
    };
    std::map<std::pair<std::string, int64_t>, LeaseRows> leases;
};

using StatusMap = std::map<int64_t, EmailStatus>;

std::vector<EmailStatus> Values(const StatusMap& map) {
    std::vector<EmailStatus> out;
    for (const auto& [ordinal, status] : map) out.push_back(status);
    return out;
}

void EndAttempt(Writes& writes, const Outcome& outcome, base::Time now, bool stale) {
    if (!outcome.attempt) return;
    const model::DeliveryOutcome& a = *outcome.attempt;
    const ClaimedRecipient& work = *outcome.work;
    writes.attempts.push_back(
        {now, model::ToText(a.result), a.smtp_code, a.enhanced_code, a.diagnostic, a.remote_id,
         a.remote_host, a.remote_address, a.tls, stale, a.transcript, work.row.tenant, work.attempt}
    );
    runtime::Count("opensend_attempts_total", {work.transport, model::ToText(a.result)});
}

/// The queue rows of every lease in the batch that are still ours.
std::set<std::tuple<int64_t, model::EmailId, int64_t>> OwnedRows(
    db::Session& tx, std::span<Outcome* const> outcomes
) {
    std::set<std::pair<std::string, int64_t>> leases;
    for (const Outcome* outcome : outcomes) {
        leases.emplace(outcome->work->lease.owner, outcome->work->lease.fence);
    }
    std::set<std::tuple<int64_t, model::EmailId, int64_t>> owned;
    for (const auto& [owner, fence] : leases) {
        for (const auto& row : queue::QueueStore::StillMine(tx, {owner, fence})) {
            owned.emplace(fence, row.email, row.ordinal);
        }
    }
    return owned;
}

/// A claimed row counts as sending. A simulated delay comes back as sent, and what expires never
/// left the state it waited in.
EmailStatus StartOf(const Outcome& outcome) {
    const EmailStatus stored = outcome.work->status;
    const bool expires = !outcome.steps.empty() && outcome.steps.back().to == EmailStatus::kExpired;
    return expires || stored == EmailStatus::kSent ? stored : EmailStatus::kSending;
}

/// What the history tells about a move beyond its states: a flat JSON object.
std::string DetailsOf(const Outcome& outcome) {
    const ClaimedRecipient& work = *outcome.work;
    json::Writer out;
    out.BeginObject();
    if (work.transport == "simulator") {
        out.Field("simulated", "true");
    } else if (outcome.attempt) {
        const model::DeliveryOutcome& attempt = *outcome.attempt;
        out.Field("transport", work.transport).Field("class", model::ToText(attempt.result));
        if (attempt.smtp_code != 0) out.Field("smtp_code", attempt.smtp_code);
        if (!attempt.enhanced_code.empty()) out.Field("enhanced_code", attempt.enhanced_code);
        if (!attempt.remote_id.empty()) out.Field("provider_message_id", attempt.remote_id);
        if (!attempt.remote_host.empty()) out.Field("remote_host", attempt.remote_host);
    }
    out.EndObject();
    return out.Take();
}

StatusMap LoadStatuses(db::Session& tx, const ClaimedRecipient& work) {
    StatusMap map;
    if (work.mail->email.recipient_count == 1) {
        map[work.row.ordinal] = work.status;
        return map;
    }
    for (const db::Row& row : tx.Execute(kStatuses, {work.row.tenant, work.row.email})) {
        const auto status = model::ParseEmailStatus(row.Text(1));
        OPENSEND_CHECK(status.has_value(), "a stored status is known");
        map[row.Int(0)] = *status;
    }
    return map;
}

/// Puts the address on the tenant's list, with its event when it is new there.
void Suppress(
    db::Session& tx,
    const Outcome& outcome,
    const std::optional<model::EventId>& cause,
    base::UuidSource& ids,
    Writes& writes
) {
    const ClaimedRecipient& work = *outcome.work;
    suppressions::Suppression entry;
    entry.id = model::SuppressionId(ids.Next());
    entry.match_key = work.match_key;
    entry.email = work.address;
    entry.origin = outcome.suppression_origin;
    entry.reason = outcome.suppression_reason;
    entry.source_email = work.row.email;
    entry.created_at = entry.id.uuid().Timestamp();
    entry.source_event = cause;
    entry.source_message_id = work.mail->facts.message_id;
    if (outcome.attempt) {
        json::Writer facts;
        facts.BeginObject();
        if (entry.origin == "bounce") facts.Field("bounce_type", "Permanent");
        if (outcome.attempt->smtp_code > 0) facts.Field("smtp_code", outcome.attempt->smtp_code);
        entry.metadata = facts.EndObject().Take();
    }
    if (!suppressions::SuppressionStore::Add(tx, work.row.tenant, entry)) return;
    writes.events.push_back(
        {model::EventId(ids.Next()), work.row.tenant, model::EventType::kSuppressionAdded,
         entry.created_at, entry.id.ToString(), suppressions::SuppressionEventData(entry),
         base::Cat("suppression.added:", entry.id.ToString())}
    );
}

}  // namespace

void BeginAttempts(
    db::Session& tx,
    const std::vector<std::shared_ptr<ClaimedRecipient>>& work,
    base::Time now,
    base::UuidSource& ids
) {
    if (work.empty()) return;
    std::vector<db::Params> attempts, history;
    std::map<std::pair<std::string, int64_t>, std::vector<queue::QueueRow>> by_lease;
    for (const auto& item : work) {
        item->started_at = now;
        attempts.push_back(
            {item->attempt, item->row.tenant, item->row.email, item->row.ordinal,
             item->row.tries + 1, item->transport, item->row.uncertain, now, item->route}
        );
        json::Writer details;
        details.BeginObject().Field("transport", item->transport);
        details.Field("attempt", item->row.tries + 1).EndObject();
        history.push_back(
            {model::EventId(ids.Next()), item->row.tenant, item->row.email, item->row.ordinal, now,
             model::ToText(item->status), model::ToText(EmailStatus::kSending), std::nullopt,
             std::nullopt, false, details.Take()}
        );
        by_lease[{item->lease.owner, item->lease.fence}].push_back(item->row);
    }
    tx.ChangeEach(kBeginAttempt, attempts);
    for (const auto& [lease, rows] : by_lease) {
        queue::QueueStore::EnterWire(tx, {lease.first, lease.second}, rows);
    }
}

void MarkUnknown(
    db::Session& tx, const std::vector<queue::QueueRow>& rows, base::Time now, base::UuidSource& ids
) {
    std::vector<db::Params> recipients, emails, history;
    const std::string unknown(model::ToText(EmailStatus::kUnknown));
    for (const queue::QueueRow& row : rows) {
        recipients.push_back({unknown, now, row.tenant, row.email, row.ordinal});
        emails.push_back({unknown, model::LastEventOf(EmailStatus::kUnknown), row.tenant, row.email}
        );
        history.push_back(
            {model::EventId(ids.Next()), row.tenant, row.email, row.ordinal, now,
             model::ToText(EmailStatus::kSending), unknown, "lease_expired", std::nullopt, false,
             "{}"}
        );
    }
    if (rows.empty()) return;
    tx.ChangeEach(kRecipientUnknown, recipients);
    tx.ChangeEach(kEmailUnknown, emails);
    tx.ChangeEach(kAppendHistory, history);
}

void OutcomeRecorder::Apply(db::Transaction& tx, std::span<Outcome* const> outcomes) {
    const base::Time now = clock_.Now();
    const auto owned = OwnedRows(tx, outcomes);
    Writes writes;
    std::map<model::EmailId, StatusMap> statuses;
    for (Outcome* outcome : outcomes) {
        ClaimedRecipient& work = *outcome->work;
        if (!owned.contains({work.lease.fence, work.row.email, work.row.ordinal})) {
            EndAttempt(writes, *outcome, now, true);
            continue;
        }
        EndAttempt(writes, *outcome, now, false);
        auto& map = statuses[work.row.email];
        if (map.empty()) map = LoadStatuses(tx, work);

        EmailStatus from = StartOf(*outcome);
        std::optional<base::Time> sent_at;
        const std::string details = DetailsOf(*outcome);
        const bool taken = from == EmailStatus::kSending && !outcome->steps.empty();
        // An attempt told of its begin itself.
        if (taken && !outcome->attempt) {
            writes.history.push_back(
                {model::EventId(ids_.Next()), work.row.tenant, work.row.email, work.row.ordinal,
                 now, model::ToText(work.status), model::ToText(from), std::nullopt, std::nullopt,
                 false, "{}"}
            );
        }
        std::optional<model::EventId> cause;
        for (const Step& step : outcome->steps) {
            const bool legal = model::MayMove(from, step.to);
            std::optional<model::EventId> event_id;
            if (legal) {
                map[work.row.ordinal] = step.to;
                if (step.to == EmailStatus::kSent) sent_at = now;
                if (step.event) {
                    event_id = cause = model::EventId(ids_.Next());
                    const EmailStatus message = model::DeriveStatus(Values(map));
                    writes.events.push_back(
                        {*event_id, work.row.tenant, *step.event, now, work.row.email.ToString(),
                         step.data(model::ToText(message)), step.dedupe}
                    );
                }
                runtime::Count(
                    "opensend_recipient_transitions_total",
                    {model::ToText(from), model::ToText(step.to)}
                );
            } else {
                runtime::Count("opensend_illegal_transitions_total");
            }
            writes.history.push_back(
                {model::EventId(ids_.Next()), work.row.tenant, work.row.email, work.row.ordinal,
                 now, model::ToText(from), model::ToText(step.to), step.reason, event_id, !legal,
                 details}
            );
            if (legal) from = step.to;
        }
        if (!outcome->steps.empty()) {
            const std::optional<std::string> code =
                outcome->error_code.empty() ? std::nullopt : std::optional(outcome->error_code);
            const std::optional<std::string> message =
                code ? std::optional(outcome->error_message) : std::nullopt;
            writes.recipients.push_back(
                {model::ToText(map[work.row.ordinal]), work.row.tries,
                 outcome->shown_suppression_reason, code, message, now, work.row.tenant,
                 work.row.email, work.row.ordinal}
            );
            const EmailStatus derived = model::DeriveStatus(Values(map));
            const bool waits = outcome->release_reason && work.row.phase == queue::Phase::kWaiting;
            writes.emails.push_back(
                {model::ToText(derived), model::LastEventOf(derived), sent_at,
                 outcome->counts_as_retry, outcome->attempt ? std::optional(now) : std::nullopt,
                 waits ? std::optional(work.row.due_at) : std::nullopt, code, message,
                 work.row.tenant, work.row.email}
            );
        }
        auto& lease = writes.leases[{work.lease.owner, work.lease.fence}];
        if (outcome->release_reason) {
            lease.released[*outcome->release_reason].push_back(work.row);
        } else {
            lease.finished.push_back(work.row);
        }
        if (outcome->suppress &&
            !emails::IsSimulatorDomain(
                std::string_view(work.address).substr(work.address.rfind('@') + 1)
            )) {
            Suppress(tx, *outcome, cause, ids_, writes);
        }
    }
    if (!writes.attempts.empty()) tx.ChangeEach(kEndAttempt, writes.attempts);
    if (!writes.recipients.empty()) tx.ChangeEach(kMoveRecipient, writes.recipients);
    if (!writes.emails.empty()) tx.ChangeEach(kMoveEmail, writes.emails);
    if (!writes.history.empty()) tx.ChangeEach(kAppendHistory, writes.history);
    events::AppendAll(tx, writes.events);
    for (const auto& [key, rows] : writes.leases) {
        const queue::Lease lease{key.first, key.second};
        queue::QueueStore::Finish(tx, lease, rows.finished);
        for (const auto& [reason, released] : rows.released) {
            queue::QueueStore::Release(tx, lease, released, reason);
        }
    }
    OPENSEND_CRASH_POINT("outcome_applied");
}

}  // namespace opensend::delivery
