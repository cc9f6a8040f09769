#include "kernel/resources/emails/visible.h"

#include "kernel/resources/domains/domain_store.h"
#include "kernel/resources/emails/email_store.h"

namespace opensend::emails {

std::optional<std::string> RestrictedDomain(db::Session& session, const model::Principal& caller) {
    if (!caller.domain) return std::nullopt;
    const auto domain = domains::DomainStore::Find(session, caller.tenant, *caller.domain);
    return domain ? domain->name : std::string(kNoDomain);
}

Email VisibleEmail(db::Session& session, const api::Call& call) {
    auto email = EmailStore::Find(session, call.principal.tenant, call.Id<model::EmailId>());
    if (!email) throw base::NotFound("Email");
    const auto restricted = RestrictedDomain(session, call.principal);
    if (restricted && email->from_domain != *restricted) throw base::NotFound("Email");
    return std::move(*email);
}

}  // namespace opensend::emails
