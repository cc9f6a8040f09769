#include "kernel/resources/emails/email_actions.h"

#include <algorithm>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/events/event_log.h"
#include "kernel/events/payload.h"
#include "kernel/resources/emails/email_json.h"
#include "kernel/resources/emails/email_store.h"

namespace opensend::emails {
namespace {

using model::EmailStatus;

constexpr db::Query kSetSchedule{"emails.set_schedule", R"sql(
    UPDATE emails SET scheduled_at = $1 WHERE org_id = $2 AND id = $3 AND status = 'scheduled')sql"};
constexpr db::Query kCancelEmail{"emails.cancel", R"sql(
    UPDATE emails SET status = $1, last_event = $2, next_retry_at = NULL
     WHERE org_id = $3 AND id = $4)sql"};
constexpr db::Query kCancelRecipient{"emails.cancel_recipient", R"sql(
    UPDATE recipients SET status = 'canceled', version = version + 1, updated_at = $1
     WHERE org_id = $2 AND email_id = $3 AND ordinal = $4)sql"};
constexpr db::Query kAppendAction{"emails.append_action", R"sql(
    INSERT INTO email_history (id, org_id, email_id, ordinal, created_at, from_status, to_status,
                               actor, event_id, ignored)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0))sql"};

bool MayBeCanceled(EmailStatus status) {
    return status == EmailStatus::kScheduled || model::MayMove(status, EmailStatus::kCanceled);
}

bool HeldByWorker(const std::vector<queue::QueueStore::Pending>& rows) {
    return std::any_of(rows.begin(), rows.end(), [](const auto& row) { return row.leased; });
}

}  // namespace

void EmailActions::Reschedule(
    db::Session& tx,
    const model::TenantId& tenant,
    const model::EmailId& id,
    base::Time due,
    const std::string& actor
) {
    const auto rows = queue::QueueStore::LockAll(tx, tenant, id);
    const auto email = EmailStore::Find(tx, tenant, id);
    if (!email) throw base::NotFound("Email");
    if (email->status != EmailStatus::kScheduled || HeldByWorker(rows)) {
        throw base::Conflict(
            "email_not_editable",
            "Email is in a state that does not allow this: only scheduled mail has a time to "
            "change."
        );
    }
    tx.Change(kSetSchedule, {due, tenant, id});
    queue::QueueStore::Postpone(tx, tenant, id, due);
    const model::EventId event(ids_.Next());
    const std::string_view scheduled = model::ToText(EmailStatus::kScheduled);
    tx.Change(
        kAppendAction, {model::EventId(ids_.Next()), tenant, id, std::nullopt, now_, scheduled,
                        scheduled, actor, event}
    );
    events::Append(
        tx,
        {event, tenant, model::EventType::kEmailScheduled, now_, id.ToString(),
         events::ScheduledData(FactsOf(*email), due, email->recipient_count, email->scheduled_at),
         base::Cat("email.scheduled:", id.ToString(), ':', event.ToString())}
    );
}

EmailActions::Canceled EmailActions::Cancel(
    db::Session& tx,
    const model::TenantId& tenant,
    const model::EmailId& id,
    const std::string& actor
) {
    const auto rows = queue::QueueStore::LockAll(tx, tenant, id);
    const auto email = EmailStore::Find(tx, tenant, id);
    if (!email) throw base::NotFound("Email");
    if (email->status == EmailStatus::kCanceled) return {EmailStatus::kCanceled, false};
    std::vector<RecipientRow> recipients = EmailStore::Recipients(tx, tenant, id);
    std::vector<int64_t> ordinals;
    std::vector<EmailStatus> after;
    std::vector<db::Params> history, changes;
    const std::string_view canceled = model::ToText(EmailStatus::kCanceled);
    for (const RecipientRow& recipient : recipients) {
        const bool waits = std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
            return row.ordinal == recipient.ordinal;
        });
        const bool ends = waits && MayBeCanceled(recipient.status);
        after.push_back(ends ? EmailStatus::kCanceled : recipient.status);
        if (!ends) continue;
        ordinals.push_back(recipient.ordinal);
        changes.push_back({now_, tenant, id, recipient.ordinal});
        // With one recipient the row of the message says it all.
        if (recipients.size() == 1) continue;
        history.push_back(
            {model::EventId(ids_.Next()), tenant, id, recipient.ordinal, now_,
             model::ToText(recipient.status), canceled, actor, std::nullopt}
        );
    }
    if (HeldByWorker(rows) || !MayBeCanceled(email->status) || ordinals.empty()) {
        throw base::Conflict(
            "email_not_cancelable",
            "Email is in a state that does not allow this: it is being sent or has ended."
        );
    }
    const EmailStatus status = model::DeriveStatus(after);
    const model::EventId event(ids_.Next());
    history.push_back(
        {model::EventId(ids_.Next()), tenant, id, std::nullopt, now_, model::ToText(email->status),
         canceled, actor, event}
    );
    queue::QueueStore::Withdraw(tx, tenant, id, ordinals);
    tx.ChangeEach(kCancelRecipient, changes);
    tx.Change(kCancelEmail, {model::ToText(status), model::LastEventOf(status), tenant, id});
    tx.ChangeEach(kAppendAction, history);
    events::Append(
        tx, {event, tenant, model::EventType::kEmailCanceled, now_, id.ToString(),
             events::CanceledData(FactsOf(*email), model::ToText(status), actor),
             base::Cat("email.canceled:", id.ToString())}
    );
    return {status, true};
}

}  // namespace opensend::emails
