#pragma once

#include <optional>
#include <string>

#include "kernel/api/call.h"
#include "kernel/db/session.h"
#include "kernel/resources/emails/email.h"

namespace opensend::emails {

/// A domain that no message has: a filter that names nothing finds nothing.
inline constexpr std::string_view kNoDomain = "-";

/// The name of the domain that a restricted key is bound to; nullopt: the key sees everything.
std::optional<std::string> RestrictedDomain(db::Session& session, const model::Principal& caller);

/// The message that the call names, if its caller may see it. Throws NotFound.
Email VisibleEmail(db::Session& session, const api::Call& call);

}  // namespace opensend::emails
