#include "kernel/resources/emails/email_store.h"

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/json/writer.h"

namespace opensend::emails {
namespace {

#define OPENSEND_EMAIL_COLUMNS                                                           \
    "e.id, e.org_id, e.status, e.last_event, e.message_id, e.from_text, e.from_domain, " \
    "e.subject, e.addresses, e.tags, e.headers, e.stream, e.entrance, e.actor, "         \
    "e.recipient_count, e.created_at, e.scheduled_at, e.sent_at, e.retry_count, "        \
    "e.last_attempted_at, e.next_retry_at, e.last_error_code, e.last_error_message FROM emails e"

constexpr db::Query kInsertEmail{"emails.insert", R"sql(
    INSERT INTO emails (id, org_id, status, last_event, message_id, from_text, from_domain, subject,
        addresses, tags, headers, stream, entrance, actor, recipient_count, created_at, scheduled_at,
        retry_count)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0))sql"};
constexpr db::Query kInsertContent{"emails.insert_content", R"sql(
    INSERT INTO email_contents (email_id, org_id, html, text, blob_key)
    VALUES ($1, $2, $3, $4, $5))sql"};
constexpr db::Query kInsertRecipient{"emails.insert_recipient", R"sql(
    INSERT INTO recipients (email_id, ordinal, org_id, address, match_key, kind, status, version,
                            attempts, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 1, 0, $8))sql"};
constexpr db::Query kInsertAttachment{"emails.insert_attachment", R"sql(
    INSERT INTO email_attachments (id, org_id, email_id, position, filename, content_type,
                                   content_id, size, status, url, blob_key)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11))sql"};
constexpr db::Query kInsertHistory{"emails.insert_history", R"sql(
    INSERT INTO email_history (id, org_id, email_id, created_at, from_status, to_status, actor,
                               event_id, ignored)
    VALUES ($1, $2, $3, $4, 'accepted', $5, $6, $7, 0))sql"};
constexpr db::Query kFindEmail{
    "emails.find", "SELECT " OPENSEND_EMAIL_COLUMNS " WHERE e.org_id = $1 AND e.id = $2"};
constexpr db::Query kFindContent{
    "emails.find_content",
    "SELECT html, text, blob_key FROM email_contents WHERE org_id = $1 AND email_id = $2"};
constexpr db::Query kRecipients{"emails.recipients", R"sql(
    SELECT r.ordinal, r.address, r.match_key, r.kind,
           CASE WHEN q.lease_until > 0 AND r.status IN ('queued', 'deferred', 'unknown')
                THEN 'sending' ELSE r.status END,
           r.attempts, r.suppression_reason, r.last_error_code, r.last_error_message, r.updated_at
      FROM recipients r
      LEFT JOIN queue q ON q.email_id = r.email_id AND q.ordinal = r.ordinal AND q.org_id = r.org_id
     WHERE r.org_id = $1 AND r.email_id = $2 ORDER BY r.ordinal)sql"};
constexpr db::Query kAttachments{"emails.attachments", R"sql(
    SELECT id, position, filename, content_type, content_id, size, status, url, blob_key
      FROM email_attachments WHERE org_id = $1 AND email_id = $2 ORDER BY position)sql"};
constexpr db::Query kFindAttachment{"emails.find_attachment", R"sql(
    SELECT id, position, filename, content_type, content_id, size, status, url, blob_key
      FROM email_attachments WHERE org_id = $1 AND id = $2)sql"};
constexpr db::Query kTimeZone{"emails.time_zone", "SELECT timezone FROM orgs WHERE id = $1"};
constexpr db::Query kSetAttachment{"emails.set_attachment", R"sql(
    UPDATE email_attachments SET status = $1, size = $2, blob_key = $3
     WHERE org_id = $4 AND id = $5)sql"};

// An absent filter is null; the cast gives PostgreSQL the parameter's type.
#define OPENSEND_EMAIL_FILTER                                                                   \
    " AND (CAST($3 AS TEXT) IS NULL OR e.status = $3 OR e.last_event = $3)"                     \
    " AND (CAST($4 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM recipients r"                      \
    "      WHERE r.email_id = e.id AND r.org_id = e.org_id AND r.match_key = $4))"              \
    " AND (CAST($5 AS TEXT) IS NULL OR e.from_text = $5 OR e.from_text LIKE '%<' || $5 || '>')" \
    " AND (CAST($6 AS TEXT) IS NULL OR e.from_domain = $6)"                                     \
    " AND (CAST($7 AS TEXT) IS NULL OR substr(e.subject, 1, length($7)) = $7)"                  \
    " AND (CAST($8 AS BIGINT) IS NULL OR e.created_at >= $8)"                                   \
    " AND (CAST($9 AS BIGINT) IS NULL OR e.created_at <= $9)"                                   \
    " AND (CAST($10 AS TEXT) IS NULL OR replace(e.tags, $10, '') <> e.tags)"
constexpr db::Query kOlderEmails{
    "emails.list_older",
    "SELECT " OPENSEND_EMAIL_COLUMNS " WHERE e.org_id = $1 AND e.id < $2" OPENSEND_EMAIL_FILTER
    " ORDER BY e.id DESC LIMIT $11"};
constexpr db::Query kNewerEmails{
    "emails.list_newer",
    "SELECT " OPENSEND_EMAIL_COLUMNS " WHERE e.org_id = $1 AND e.id > $2" OPENSEND_EMAIL_FILTER
    " ORDER BY e.id LIMIT $11"};

Email ReadEmail(const db::Row& row) {
    Email e;
    e.id = row.Id<model::EmailId>(0);
    e.tenant = row.Id<model::TenantId>(1);
    const auto status = model::ParseEmailStatus(row.Text(2));
    OPENSEND_CHECK(status.has_value(), "a stored status is known");
    e.status = *status;
    e.last_event = row.Text(3);
    e.message_id = row.Text(4);
    e.from_text = row.Text(5);
    e.from_domain = row.Text(6);
    e.subject = row.Text(7);
    e.addresses = row.Text(8);
    e.tags = row.Text(9);
    e.headers = row.Text(10);
    e.stream = row.Text(11);
    e.entrance = row.Text(12);
    e.actor = row.Text(13);
    e.recipient_count = row.Int(14);
    e.created_at = row.Time(15);
    e.scheduled_at = row.OptionalTime(16);
    e.sent_at = row.OptionalTime(17);
    e.retry_count = row.Int(18);
    e.last_attempted_at = row.OptionalTime(19);
    e.next_retry_at = row.OptionalTime(20);
    e.last_error_code = row.OptionalText(21);
    e.last_error_message = row.OptionalText(22);
    return e;
}

AttachmentRow ReadAttachmentRow(const db::Row& row) {
    return {
        row.Id<model::AttachmentId>(0),
        row.Int(1),
        row.Text(2),
        row.Text(3),
        row.Text(4),
        row.Int(5),
        row.Text(6),
        row.OptionalText(7),
        row.OptionalText(8)};
}

db::Params EmailParams(const Email& e) {
    return {e.id,          e.tenant,      model::ToText(e.status),
            e.last_event,  e.message_id,  e.from_text,
            e.from_domain, e.subject,     e.addresses,
            e.tags,        e.headers,     e.stream,
            e.entrance,    e.actor,       e.recipient_count,
            e.created_at,  e.scheduled_at};
}

}  // namespace

void EmailStore::Insert(
    db::Session& tx, std::span<const AcceptedEmail* const> accepted, base::UuidSource& ids
) {
    std::vector<db::Params> emails, contents, recipients, attachments, history;
    std::vector<queue::QueueRow> queue;
    for (const AcceptedEmail* item : accepted) {
        const Email& e = item->email;
        emails.push_back(EmailParams(e));
        contents.push_back(
            {e.id, e.tenant, item->content.html, item->content.text, item->content.blob_key}
        );
        for (const RecipientRow& r : item->recipients) {
            recipients.push_back(
                {e.id, r.ordinal, e.tenant, r.address, r.match_key, r.kind, model::ToText(r.status),
                 e.created_at}
            );
        }
        for (const AttachmentRow& a : item->attachments) {
            attachments.push_back(
                {a.id, e.tenant, e.id, a.position, a.filename, a.content_type, a.content_id, a.size,
                 a.status, a.url, a.blob_key}
            );
        }
        history.push_back(
            {model::EventId(ids.Next()), e.tenant, e.id, e.created_at, model::ToText(e.status),
             e.actor, item->scheduled_event}
        );
        queue.insert(queue.end(), item->queue.begin(), item->queue.end());
    }
    tx.ChangeEach(kInsertEmail, emails);
    tx.ChangeEach(kInsertContent, contents);
    tx.ChangeEach(kInsertRecipient, recipients);
    if (!attachments.empty()) tx.ChangeEach(kInsertAttachment, attachments);
    tx.ChangeEach(kInsertHistory, history);
    queue::QueueStore::Enqueue(tx, queue);
}

std::optional<Email> EmailStore::Find(
    db::Session& session, const model::TenantId& tenant, const model::EmailId& id
) {
    const auto row = session.First(kFindEmail, {tenant, id});
    return row ? std::optional(ReadEmail(*row)) : std::nullopt;
}

std::optional<EmailContent> EmailStore::FindContent(
    db::Session& session, const model::TenantId& tenant, const model::EmailId& id
) {
    const auto row = session.First(kFindContent, {tenant, id});
    if (!row) return std::nullopt;
    return EmailContent{row->OptionalText(0), row->OptionalText(1), row->OptionalText(2)};
}

std::vector<RecipientRow> EmailStore::Recipients(
    db::Session& session, const model::TenantId& tenant, const model::EmailId& id
) {
    std::vector<RecipientRow> out;
    for (const db::Row& row : session.Execute(kRecipients, {tenant, id})) {
        const auto status = model::ParseEmailStatus(row.Text(4));
        OPENSEND_CHECK(status.has_value(), "a stored status is known");
        out.push_back(
            {row.Int(0), row.Text(1), row.Text(2), row.Text(3), *status, row.Int(5),
             row.OptionalText(6), row.OptionalText(7), row.OptionalText(8), row.Time(9)}
        );
    }
    return out;
}

std::vector<AttachmentRow> EmailStore::Attachments(
    db::Session& session, const model::TenantId& tenant, const model::EmailId& id
) {
    std::vector<AttachmentRow> out;
    for (const db::Row& row : session.Execute(kAttachments, {tenant, id})) {
        out.push_back(ReadAttachmentRow(row));
    }
    return out;
}

std::optional<AttachmentRow> EmailStore::FindAttachment(
    db::Session& session, const model::TenantId& tenant, const model::AttachmentId& id
) {
    const auto row = session.First(kFindAttachment, {tenant, id});
    return row ? std::optional(ReadAttachmentRow(*row)) : std::nullopt;
}

std::string EmailStore::TimeZone(db::Session& session, const model::TenantId& tenant) {
    const auto row = session.First(kTimeZone, {tenant});
    return row ? row->Text(0) : "UTC";
}

db::Page<Email> EmailStore::List(
    db::Session& session,
    const model::TenantId& tenant,
    const EmailFilter& filter,
    const db::PageRequest& page
) {
    const bool newer = page.backwards();
    const std::string cursor = newer ? *page.before : page.after.value_or("~");
    std::vector<Email> rows;
    const db::Params params = {
        tenant,
        cursor,
        filter.status,
        filter.to_key,
        filter.from_address,
        filter.from_domain,
        filter.subject_prefix,
        filter.created_after,
        filter.created_before,
        filter.tag,
        page.fetch()};
    for (const db::Row& row : session.Execute(newer ? kNewerEmails : kOlderEmails, params)) {
        rows.push_back(ReadEmail(row));
    }
    return db::TrimPage(std::move(rows), page);
}

void EmailStore::SetAttachment(
    db::Session& tx,
    const model::TenantId& tenant,
    const model::AttachmentId& id,
    const std::string& status,
    int64_t size,
    const std::optional<std::string>& blob_key
) {
    tx.Change(kSetAttachment, {status, size, blob_key, tenant, id});
}

}  // namespace opensend::emails
