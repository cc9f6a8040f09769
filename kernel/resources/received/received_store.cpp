#include "kernel/resources/received/received_store.h"

namespace opensend::received {
namespace {

#define OPENSEND_RECEIVED_COLUMNS                                                               \
    "m.id, m.org_id, m.created_at, m.message_id, m.from_text, m.from_key, m.addresses, "        \
    "m.subject, m.sent_at, m.in_reply_to, m.reference_ids, m.headers, m.raw_blob_key, m.size, " \
    "m.content_hash, m.envelope_from, m.spf, m.dkim, m.dmarc, m.spam, m.dmarc_fail, "           \
    "m.defects, m.provider, m.provider_event_id, m.reply_match_status, m.thread_id, "           \
    "m.reply_to_email_id, m.contact_id FROM received_emails m"

constexpr db::Query kInsertReceived{"received.insert", R"sql(
    INSERT INTO received_emails (id, org_id, created_at, message_id, from_text, from_key, addresses,
        subject, sent_at, in_reply_to, reference_ids, headers, raw_blob_key, size, content_hash,
        envelope_from, spf, dkim, dmarc, spam, dmarc_fail, defects, provider, provider_event_id,
        reply_match_status, thread_id, reply_to_email_id, contact_id, html, text, content_blob_key)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
            $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31))sql"};
constexpr db::Query kInsertDecision{"received.insert_recipient", R"sql(
    INSERT INTO received_recipients (received_id, position, org_id, address, match_key, status,
        domain_id, route_id, route_type, local_part, target_address)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11))sql"};
constexpr db::Query kInsertFile{"received.insert_attachment", R"sql(
    INSERT INTO received_attachments (id, org_id, received_id, filename, content_type, content_id,
        disposition, size, blob_key)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9))sql"};
constexpr db::Query kFindReceived{
    "received.find", "SELECT " OPENSEND_RECEIVED_COLUMNS " WHERE m.org_id = $1 AND m.id = $2"};
constexpr db::Query kReceivedContent{"received.find_content", R"sql(
    SELECT html, text, content_blob_key FROM received_emails WHERE org_id = $1 AND id = $2)sql"};
constexpr db::Query kDecisions{"received.recipients", R"sql(
    SELECT address, match_key, status, domain_id, route_id, route_type, local_part, target_address
      FROM received_recipients WHERE org_id = $1 AND received_id = $2 ORDER BY position)sql"};
constexpr db::Query kFiles{"received.attachments", R"sql(
    SELECT id, filename, content_type, content_id, disposition, size, blob_key
      FROM received_attachments WHERE org_id = $1 AND received_id = $2 ORDER BY id)sql"};
constexpr db::Query kFindFile{"received.find_attachment", R"sql(
    SELECT id, filename, content_type, content_id, disposition, size, blob_key
      FROM received_attachments WHERE org_id = $1 AND id = $2)sql"};

// An absent filter is null; the cast gives PostgreSQL the parameter's type.
#define OPENSEND_RECEIVED_FILTER                                                      \
    " AND (CAST($3 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM received_recipients t"   \
    "      WHERE t.received_id = m.id AND t.org_id = m.org_id AND t.match_key = $3))" \
    " AND (CAST($4 AS TEXT) IS NULL OR m.from_key = $4)"                              \
    " AND (CAST($5 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM received_recipients d"   \
    "      WHERE d.received_id = m.id AND d.org_id = m.org_id AND d.domain_id = $5))" \
    " AND (CAST($6 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM received_recipients v"   \
    "      WHERE v.received_id = m.id AND v.org_id = m.org_id AND v.domain_id = $6))" \
    " AND (CAST($7 AS BIGINT) IS NULL OR m.created_at >= $7)"                         \
    " AND (CAST($8 AS BIGINT) IS NULL OR m.created_at <= $8)"
constexpr db::Query kOlderReceived{
    "received.list_older",
    "SELECT " OPENSEND_RECEIVED_COLUMNS
    " WHERE m.org_id = $1 AND m.id < $2" OPENSEND_RECEIVED_FILTER " ORDER BY m.id DESC LIMIT $9"};
constexpr db::Query kNewerReceived{
    "received.list_newer",
    "SELECT " OPENSEND_RECEIVED_COLUMNS
    " WHERE m.org_id = $1 AND m.id > $2" OPENSEND_RECEIVED_FILTER " ORDER BY m.id LIMIT $9"};

ReceivedEmail ReadReceived(const db::Row& row) {
    ReceivedEmail m;
    m.id = row.Id<ReceivedId>(0);
    m.tenant = row.Id<model::TenantId>(1);
    m.created_at = row.Time(2);
    m.message_id = row.Text(3);
    m.from_text = row.Text(4);
    m.from_key = row.Text(5);
    m.addresses = row.Text(6);
    m.subject = row.Text(7);
    m.sent_at = row.OptionalTime(8);
    m.in_reply_to = row.Text(9);
    m.references = row.Text(10);
    m.headers = row.Text(11);
    m.raw_blob_key = row.OptionalText(12);
    m.size = row.Int(13);
    m.content_hash = row.Text(14);
    m.envelope_from = row.OptionalText(15);
    m.spf = row.OptionalText(16);
    m.dkim = row.OptionalText(17);
    m.dmarc = row.OptionalText(18);
    m.spam = row.Bool(19);
    m.dmarc_fail = row.Bool(20);
    m.defects = row.Text(21);
    m.provider = row.Text(22);
    m.provider_event_id = row.Text(23);
    m.reply_match_status = row.Text(24);
    m.thread_id = row.OptionalText(25);
    m.reply_to_email_id = row.OptionalText(26);
    m.contact_id = row.OptionalText(27);
    return m;
}

ReceivedAttachment ReadFile(const db::Row& row) {
    return {
        row.Id<model::AttachmentId>(0),
        row.Text(1),
        row.Text(2),
        row.Text(3),
        row.Text(4),
        row.Int(5),
        row.Text(6)};
}

void AddParts(db::Session& session, ReceivedEmail& email) {
    for (const db::Row& row : session.Execute(kDecisions, {email.tenant, email.id})) {
        RouteDecision decision;
        decision.address = row.Text(0);
        decision.match_key = row.Text(1);
        decision.status = row.Text(2);
        if (!row.IsNull(3)) decision.domain = row.Id<model::DomainId>(3);
        decision.route_id = row.OptionalText(4);
        decision.route_type = row.OptionalText(5);
        decision.local_part = row.Text(6);
        decision.target_address = row.OptionalText(7);
        email.decisions.push_back(std::move(decision));
    }
    for (const db::Row& row : session.Execute(kFiles, {email.tenant, email.id})) {
        email.attachments.push_back(ReadFile(row));
    }
}

}  // namespace

void ReceivedStore::Insert(
    db::Session& tx, const ReceivedEmail& m, const ReceivedContent& content
) {
    tx.Change(
        kInsertReceived, {m.id,
                          m.tenant,
                          m.created_at,
                          m.message_id,
                          m.from_text,
                          m.from_key,
                          m.addresses,
                          m.subject,
                          m.sent_at,
                          m.in_reply_to,
                          m.references,
                          m.headers,
                          m.raw_blob_key,
                          m.size,
                          m.content_hash,
                          m.envelope_from,
                          m.spf,
                          m.dkim,
                          m.dmarc,
                          m.spam,
                          m.dmarc_fail,
                          m.defects,
                          m.provider,
                          m.provider_event_id,
                          m.reply_match_status,
                          m.thread_id,
                          m.reply_to_email_id,
                          m.contact_id,
                          content.html,
                          content.text,
                          content.blob_key}
    );
    std::vector<db::Params> decisions, files;
    for (const RouteDecision& d : m.decisions) {
        decisions.push_back(
            {m.id, static_cast<int64_t>(decisions.size()), m.tenant, d.address, d.match_key,
             d.status, d.domain, d.route_id, d.route_type, d.local_part, d.target_address}
        );
    }
    for (const ReceivedAttachment& a : m.attachments) {
        files.push_back(
            {a.id, m.tenant, m.id, a.filename, a.content_type, a.content_id, a.disposition, a.size,
             a.blob_key}
        );
    }
    if (!decisions.empty()) tx.ChangeEach(kInsertDecision, decisions);
    if (!files.empty()) tx.ChangeEach(kInsertFile, files);
}

std::optional<ReceivedEmail> ReceivedStore::Find(
    db::Session& session, const model::TenantId& tenant, const ReceivedId& id
) {
    const auto row = session.First(kFindReceived, {tenant, id});
    if (!row) return std::nullopt;
    ReceivedEmail email = ReadReceived(*row);
    AddParts(session, email);
    return email;
}

std::optional<ReceivedContent> ReceivedStore::FindContent(
    db::Session& session, const model::TenantId& tenant, const ReceivedId& id
) {
    const auto row = session.First(kReceivedContent, {tenant, id});
    if (!row) return std::nullopt;
    return ReceivedContent{row->OptionalText(0), row->OptionalText(1), row->OptionalText(2)};
}

std::optional<ReceivedAttachment> ReceivedStore::FindAttachment(
    db::Session& session, const model::TenantId& tenant, const model::AttachmentId& id
) {
    const auto row = session.First(kFindFile, {tenant, id});
    return row ? std::optional(ReadFile(*row)) : std::nullopt;
}

db::Page<ReceivedEmail> ReceivedStore::List(
    db::Session& session,
    const model::TenantId& tenant,
    const ReceivedFilter& filter,
    const db::PageRequest& page
) {
    const bool newer = page.backwards();
    // "~" sorts after every id.
    const std::string cursor = newer ? *page.before : page.after.value_or("~");
    std::vector<ReceivedEmail> rows;
    const db::Params params = {
        tenant,        cursor,         filter.to_key,        filter.from_key,
        filter.domain, filter.visible, filter.created_after, filter.created_before,
        page.fetch()};
    for (const db::Row& row : session.Execute(newer ? kNewerReceived : kOlderReceived, params)) {
        rows.push_back(ReadReceived(row));
    }
    auto out = db::TrimPage(std::move(rows), page);
    for (ReceivedEmail& email : out.rows) AddParts(session, email);
    return out;
}

}  // namespace opensend::received
