#pragma once

#include "kernel/resources/domains/claim_store.h"
#include "kernel/resources/domains/domains_api.h"

namespace opensend::domains {

/// The claim object of REST 2.6, as it stands at `now`.
std::string ClaimJson(const Claim& claim, base::Time now);

/// Routes of REST 2.6 on claims: a tenant proves that a name held elsewhere is its own.
class ClaimsApi {
public:
    explicit ClaimsApi(const ApiDeps& deps) : deps_(deps) {}
    void Mount(api::Router& router);

private:
    api::Answer Create(const std::shared_ptr<api::Call>& call);
    api::Answer Get(const std::shared_ptr<api::Call>& call);
    api::Answer Verify(const std::shared_ptr<api::Call>& call);

    /// The placeholder of the name: `made`, or one that was there and takes its settings; nullopt:
    /// an open claim with the same settings is there, and `same` is it.
    std::optional<Domain> Placeholder(
        db::Transaction& tx, const api::Call& call, const Domain& made, std::optional<Claim>& same
    );
    access::StoredAnswer Open(db::Transaction& tx, const api::Call& call, const Domain& domain);

    const ApiDeps& deps_;
};

}  // namespace opensend::domains
