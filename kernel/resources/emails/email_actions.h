#pragma once

#include <string>

#include "kernel/base/uuid.h"
#include "kernel/db/session.h"
#include "kernel/resources/emails/email.h"

namespace opensend::emails {

/// What may still be done to accepted mail (REST 2.1.5). Each call holds the message's queue rows
/// until the caller's transaction ends: a worker has claimed before, and the call is refused, or
/// finds what the call left.
class EmailActions {
public:
    EmailActions(base::UuidSource& ids, base::Time now) : ids_(ids), now_(now) {}

    /// Another due time for a message that is scheduled; email.scheduled is written. Throws
    /// NotFound and 409 email_not_editable.
    void Reschedule(
        db::Session& tx,
        const model::TenantId& tenant,
        const model::EmailId& id,
        base::Time due,
        const std::string& actor
    );

    struct Canceled {
        model::EmailStatus status = model::EmailStatus::kCanceled;  // of the message now
        bool changed = true;                                        // false: it was canceled before
    };
    /// Unfinished recipients end as canceled, finished ones stay; email.canceled is written once.
    /// Throws NotFound and 409 email_not_cancelable.
    Canceled Cancel(
        db::Session& tx,
        const model::TenantId& tenant,
        const model::EmailId& id,
        const std::string& actor
    );

private:
    base::UuidSource& ids_;
    base::Time now_;
};

}  // namespace opensend::emails
