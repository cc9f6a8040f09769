#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernel/db/page.h"
#include "kernel/db/session.h"
#include "kernel/resources/emails/email.h"

namespace opensend::emails {

/// Filters of GET /emails; absent ones do not restrict.
struct EmailFilter {
    std::optional<std::string> status;        // an exact state or a last_event value
    std::optional<std::string> to_key;        // comparison key of a recipient
    std::optional<std::string> from_address;  // address as in the From header
    std::optional<std::string> from_domain;
    std::optional<std::string> subject_prefix;
    std::optional<base::Time> created_after, created_before;
    std::optional<std::string> tag;  // as TagPattern makes it
};

class EmailStore {
public:
    /// Message, contents, recipients, attachments, history and queue rows of every element.
    static void Insert(
        db::Session& tx, std::span<const AcceptedEmail* const> accepted, base::UuidSource& ids
    );
    static std::optional<Email> Find(
        db::Session& session, const model::TenantId& tenant, const model::EmailId& id
    );
    static std::optional<EmailContent> FindContent(
        db::Session& session, const model::TenantId& tenant, const model::EmailId& id
    );
    static std::vector<RecipientRow> Recipients(
        db::Session& session, const model::TenantId& tenant, const model::EmailId& id
    );
    static std::vector<AttachmentRow> Attachments(
        db::Session& session, const model::TenantId& tenant, const model::EmailId& id
    );
    static std::optional<AttachmentRow> FindAttachment(
        db::Session& session, const model::TenantId& tenant, const model::AttachmentId& id
    );
    /// The tenant's zone, in which times without one are meant.
    static std::string TimeZone(db::Session& session, const model::TenantId& tenant);
    static db::Page<Email> List(
        db::Session& session,
        const model::TenantId& tenant,
        const EmailFilter& filter,
        const db::PageRequest& page
    );
    /// Bytes of a `path` attachment arrived, or will never.
    static void SetAttachment(
        db::Session& tx,
        const model::TenantId& tenant,
        const model::AttachmentId& id,
        const std::string& status,
        int64_t size,
        const std::optional<std::string>& blob_key
    );
};

}  // namespace opensend::emails
