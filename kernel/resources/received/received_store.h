#pragma once

#include <optional>
#include <string>

#include "kernel/db/page.h"
#include "kernel/db/session.h"
#include "kernel/resources/received/received.h"

namespace opensend::received {

/// Filters of GET /emails/receiving; absent ones do not restrict.
struct ReceivedFilter {
    std::optional<std::string> to_key, from_key;  // comparison keys
    std::optional<model::DomainId> domain;
    std::optional<model::DomainId> visible;  // what a restricted key sees
    std::optional<base::Time> created_after, created_before;
};

class ReceivedStore {
public:
    /// Message, recipients and attachments.
    static void Insert(db::Session& tx, const ReceivedEmail& email, const ReceivedContent& content);
    /// With its recipients and attachments.
    static std::optional<ReceivedEmail> Find(
        db::Session& session, const model::TenantId& tenant, const ReceivedId& id
    );
    static std::optional<ReceivedContent> FindContent(
        db::Session& session, const model::TenantId& tenant, const ReceivedId& id
    );
    static std::optional<ReceivedAttachment> FindAttachment(
        db::Session& session, const model::TenantId& tenant, const model::AttachmentId& id
    );
    /// With recipients and attachments, newest first.
    static db::Page<ReceivedEmail> List(
        db::Session& session,
        const model::TenantId& tenant,
        const ReceivedFilter& filter,
        const db::PageRequest& page
    );
};

}  // namespace opensend::received
