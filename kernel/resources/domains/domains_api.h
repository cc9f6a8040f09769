#pragma once

#include <memory>

#include "kernel/access/idempotency.h"
#include "kernel/api/router.h"
#include "kernel/crypto/keyring.h"
#include "kernel/db/pool.h"
#include "kernel/json/writer.h"
#include "kernel/resources/domains/domain_store.h"

namespace opensend::domains {

/// Makes domains: fresh selector and DKIM key pairs, sealed (DKIM-01).
class DomainFactory {
public:
    DomainFactory(const crypto::Keyring& keyring, base::Random& random, base::UuidSource& ids)
        : keyring_(keyring), random_(random), ids_(ids) {}
    /// A new row for `name` (already normalised). Takes tens of milliseconds: keys are made.
    Domain Make(const model::TenantId& tenant, const std::string& name, base::Time now);

private:
    const crypto::Keyring& keyring_;
    base::Random& random_;
    base::UuidSource& ids_;
};

/// The name rules of REST 3.8 and DOM-01; throws 422 on `name`.
std::string NormaliseName(const std::string& input, const std::vector<std::string>& own_hosts);

/// The domain object of REST 2.6. `with_records` false: list item.
void WriteDomain(
    json::Writer& out, const Domain& domain, const RecordSources& sources, bool with_records
);

/// domain.created with its payload, in the caller's transaction.
void AppendDomainEvent(
    db::Session& tx,
    const model::TenantId& tenant,
    const Domain& domain,
    const RecordSources& sources,
    const model::EventId& id,
    base::Time now
);

/// Routes of REST 2.6.
class DomainsApi {
public:
    struct Options {
        RecordSources sources;
        std::vector<std::string> own_hosts;  // names of this installation
        int max_per_tenant = 1000;
    };
    DomainsApi(
        db::Pool& pool,
        DomainFactory& factory,
        SenderRule& senders,
        access::Idempotency& idempotency,
        base::UuidSource& ids,
        Options options
    )
        : pool_(pool),
          factory_(factory),
          senders_(senders),
          idempotency_(idempotency),
          ids_(ids),
          options_(std::move(options)) {}
    void Mount(api::Router& router);

private:
    api::Answer Create(const std::shared_ptr<api::Call>& call);
    api::Answer List(const std::shared_ptr<api::Call>& call);
    api::Answer Get(const std::shared_ptr<api::Call>& call);

    db::Pool& pool_;
    DomainFactory& factory_;
    SenderRule& senders_;
    access::Idempotency& idempotency_;
    base::UuidSource& ids_;
    Options options_;
};

}  // namespace opensend::domains
