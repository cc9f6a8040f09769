#pragma once

#include <string>

#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::emails {

/// For operators: state, reason and next action per recipient, with every attempt, as stored at
/// each decision (SEND-26). Looks across tenants; never reachable from a listener. Throws NotFound.
std::string ExplainAsText(db::Session& session, const model::EmailId& id);

}  // namespace opensend::emails
