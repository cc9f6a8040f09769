#include "kernel/workers/delivery/claimed_mail.h"

#include <map>

#include "kernel/base/check.h"
#include "kernel/base/error.h"
#include "kernel/json/value.h"
#include "kernel/resources/emails/email_json.h"

namespace opensend::delivery {
namespace {

constexpr db::Query kLoadClaimed{"delivery.load_claimed", R"sql(
    SELECT q.email_id, q.ordinal, q.org_id, r.address, r.match_key, r.status, s.id, s.reason,
           e.message_id, e.from_text, e.from_domain, e.subject, e.addresses, e.tags, e.headers,
           e.stream, e.recipient_count, e.created_at, e.scheduled_at, c.html, c.text, c.blob_key,
           (SELECT COUNT(*) FROM email_attachments a
             WHERE a.email_id = q.email_id AND a.org_id = q.org_id), o.state,
           d.id, d.sending_verified, d.sending, d.selector, d.dkim_private_rsa,
           d.dkim_private_ed25519, d.ed25519_verified, d.return_path_verified, d.return_path, d.tls,
           d.receiving_verified, d.receiving, d.reply_tracking, e.status
      FROM queue q
      JOIN recipients r ON r.email_id = q.email_id AND r.ordinal = q.ordinal AND r.org_id = q.org_id
      JOIN emails e ON e.id = q.email_id AND e.org_id = q.org_id
      JOIN email_contents c ON c.email_id = q.email_id AND c.org_id = q.org_id
      JOIN orgs o ON o.id = q.org_id
      LEFT JOIN suppressions s ON s.org_id = q.org_id AND s.match_key = r.match_key
      LEFT JOIN domains d ON d.org_id = q.org_id AND d.name = e.from_domain
     WHERE q.lease_owner = $1 AND q.lease_fence = $2 AND q.lease_until > 0)sql"};

constexpr db::Query kPromote{"delivery.promote", R"sql(
    UPDATE emails SET status = 'queued', last_event = 'queued'
     WHERE org_id = $1 AND id = $2 AND status = 'scheduled')sql"};
constexpr db::Query kPromoted{"delivery.promoted", R"sql(
    INSERT INTO email_history (id, org_id, email_id, created_at, from_status, to_status, actor, ignored)
    VALUES ($1, $2, $3, $4, 'scheduled', 'queued', 'worker', 0))sql"};

/// Scheduled messages whose time has come, once each.
void Promote(
    db::Session& tx,
    const std::vector<std::shared_ptr<ClaimedRecipient>>& claimed,
    base::Time now,
    base::UuidSource& ids
) {
    std::map<model::EmailId, model::TenantId> due;
    for (const auto& work : claimed) {
        if (work->mail->email.status == model::EmailStatus::kScheduled) {
            due.emplace(work->row.email, work->row.tenant);
        }
    }
    for (const auto& [email, tenant] : due) {
        if (tx.Change(kPromote, {tenant, email}) == 0) continue;
        tx.Change(kPromoted, {model::EventId(ids.Next()), tenant, email, now});
    }
}

std::shared_ptr<const LoadedMail> ReadMail(const db::Row& row) {
    auto mail = std::make_shared<LoadedMail>();
    emails::Email& e = mail->email;
    e.id = row.Id<model::EmailId>(0);
    e.tenant = row.Id<model::TenantId>(2);
    e.message_id = row.Text(8);
    e.from_text = row.Text(9);
    e.from_domain = row.Text(10);
    e.subject = row.Text(11);
    e.addresses = row.Text(12);
    e.tags = row.Text(13);
    e.headers = row.Text(14);
    e.stream = row.Text(15);
    e.recipient_count = row.Int(16);
    e.created_at = row.Time(17);
    e.scheduled_at = row.OptionalTime(18);
    mail->content = {row.OptionalText(19), row.OptionalText(20), row.OptionalText(21)};
    mail->has_attachments = row.Int(22) > 0;
    mail->org_state = row.Text(23);
    if (!row.IsNull(24)) {
        mail->sender.domain = row.Id<model::DomainId>(24);
        mail->sender.usable = row.Bool(25) && row.Text(26) == "enabled";
        mail->sender.selector = row.Text(27);
        mail->sender.dkim_private_rsa = row.Text(28);
        mail->sender.dkim_private_ed25519 = row.Text(29);
        mail->sender.ed25519_verified = row.Bool(30);
        mail->sender.return_path_verified = row.Bool(31);
        mail->sender.return_path = row.Text(32);
        mail->sender.tls_enforced = row.Text(33) == "enforced";
        mail->sender.takes_replies = row.Bool(34) && row.Text(35) == "enabled" && row.Bool(36);
    }
    if (row.Text(37) == "scheduled") e.status = model::EmailStatus::kScheduled;
    mail->facts = emails::FactsOf(e);
    return mail;
}

std::vector<mime::Mailbox> ReadMailboxes(const json::Value& addresses, std::string_view name) {
    std::vector<mime::Mailbox> out;
    const json::Value list = addresses.Find(name);
    for (size_t i = 0; i < list.size(); ++i) {
        auto mailbox = mime::ParseMailbox(list.At(i).AsString());
        OPENSEND_CHECK(mailbox.ok(), "stored mailboxes were valid at accept");
        out.push_back(std::move(*mailbox));
    }
    return out;
}

std::vector<std::shared_ptr<ClaimedRecipient>> LoadRows(
    db::Session& tx, const queue::Lease& lease, const std::vector<queue::QueueRow>& rows
) {
    std::vector<std::shared_ptr<ClaimedRecipient>> out;
    std::map<std::pair<model::EmailId, int64_t>, const queue::QueueRow*> by_key;
    for (const auto& row : rows) by_key[{row.email, row.ordinal}] = &row;
    std::map<model::EmailId, std::shared_ptr<const LoadedMail>> mails;
    for (const db::Row& row : tx.Execute(kLoadClaimed, {lease.owner, lease.fence})) {
        const auto email = row.Id<model::EmailId>(0);
        auto& mail = mails[email];
        if (!mail) mail = ReadMail(row);
        const auto found = by_key.find({email, row.Int(1)});
        OPENSEND_CHECK(found != by_key.end(), "a loaded row belongs to the lease");
        auto claimed = std::make_shared<ClaimedRecipient>();
        claimed->row = *found->second;
        claimed->lease = lease;
        claimed->mail = mail;
        claimed->address = row.Text(3);
        claimed->match_key = row.Text(4);
        const auto status = model::ParseEmailStatus(row.Text(5));
        OPENSEND_CHECK(status.has_value(), "a stored status is known");
        claimed->status = *status;
        claimed->suppression_id = row.OptionalText(6);
        claimed->suppression_reason = row.OptionalText(7);
        out.push_back(std::move(claimed));
    }
    return out;
}

}  // namespace

std::vector<std::shared_ptr<ClaimedRecipient>> ClaimMail(
    db::Session& tx,
    queue::Lane lane,
    const std::string& owner,
    base::Time now,
    base::Time until,
    int limit,
    std::string& turn,
    base::UuidSource& ids
) {
    const auto rows = queue::QueueStore::Claim(tx, lane, owner, now, until, limit, turn);
    if (rows.empty()) return {};
    auto claimed = LoadRows(tx, {owner, rows.front().fence}, rows);
    Promote(tx, claimed, now, ids);
    return claimed;
}

std::vector<std::shared_ptr<ClaimedRecipient>> LoadLeased(
    db::Session& tx, const queue::Lease& lease
) {
    return LoadRows(tx, lease, queue::QueueStore::StillMine(tx, lease));
}

mime::Message ComposeMessage(
    const LoadedMail& mail,
    const std::vector<emails::AttachmentRow>& attachments,
    blob::BlobStore& blobs
) {
    mime::Message message;
    const auto parsed = json::Document::Parse(
        mail.email.addresses, {.max_depth = 8, .max_keys = 100, .max_elements = 10'000}
    );
    const auto headers = json::Document::Parse(mail.email.headers);
    OPENSEND_CHECK(parsed.ok() && headers.ok(), "stored JSON parses");
    auto from = mime::ParseMailbox(mail.email.from_text);
    OPENSEND_CHECK(from.ok(), "stored mailboxes were valid at accept");
    message.message_id = mail.email.message_id;
    message.date = mail.email.scheduled_at.value_or(mail.email.created_at);
    message.from = std::move(*from);
    message.to = ReadMailboxes(parsed->root(), "to");
    message.cc = ReadMailboxes(parsed->root(), "cc");
    message.reply_to = ReadMailboxes(parsed->root(), "reply_to");
    message.subject = mail.email.subject;
    for (size_t i = 0; i < headers->root().size(); ++i) {
        message.headers.emplace_back(
            headers->root().NameAt(i), headers->root().MemberAt(i).AsString()
        );
    }
    emails::EmailContent content = mail.content;
    if (content.blob_key) content = emails::UnpackContent(blobs.Get(*content.blob_key));
    message.text = std::move(content.text);
    message.html = std::move(content.html);
    for (const auto& row : attachments) {
        mime::Attachment attachment;
        attachment.filename = row.filename;
        attachment.content_type = row.content_type;
        attachment.content_id = row.content_id;
        OPENSEND_CHECK(row.blob_key.has_value(), "attachments were fetched before");
        attachment.content = blobs.Get(*row.blob_key);
        message.attachments.push_back(std::move(attachment));
    }
    return message;
}

}  // namespace opensend::delivery
