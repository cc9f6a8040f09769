#pragma once

#include <string>

#include "kernel/db/session.h"
#include "kernel/model/ids.h"
#include "kernel/resources/emails/email.h"

namespace opensend::emails {

/// For operators: state, reason and next action per recipient, with every attempt, as stored at
/// each decision (SEND-26). Looks across tenants; never reachable from a listener. Throws NotFound.
std::string ExplainAsText(db::Session& session, const model::EmailId& id);

/// The explanation of REST 2.1.6 for the message's tenant. `max_age`: how long mail is tried.
std::string ExplainAsJson(
    db::Session& session, const Email& email, base::Time now, base::Duration max_age
);

}  // namespace opensend::emails
