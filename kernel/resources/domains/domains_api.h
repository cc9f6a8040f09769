#pragma once

#include <functional>
#include <memory>

#include "kernel/access/idempotency.h"
#include "kernel/api/router.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/domains/domain_factory.h"
#include "kernel/resources/domains/domain_json.h"
#include "kernel/resources/domains/domain_request.h"
#include "kernel/resources/domains/domain_store.h"
#include "kernel/resources/domains/late_answers.h"

namespace opensend::domains {

/// What both APIs of this folder work with.
struct ApiDeps {
    db::Pool& pool;
    DomainFactory& factory;
    SenderRule& senders;
    access::Idempotency& idempotency;
    base::UuidSource& ids;
    base::Random& random;
    const base::Clock& clock;
    LateAnswers& late_answers;
    RecordCatalog catalog;
    std::vector<std::string> own_hosts;     // names of this installation
    std::vector<std::string> more_regions;  // labels beside the well-known ones
    int max_per_tenant = 1000;
    std::function<void()> wake_checks;  // a check is due
    std::function<void()> wake_events;
};

/// How long a call waits for the check that it asked for.
inline constexpr std::chrono::seconds kCheckWait{5};

/// Routes of REST 2.6, claims excepted.
class DomainsApi {
public:
    explicit DomainsApi(const ApiDeps& deps) : deps_(deps) {}
    void Mount(api::Router& router);

private:
    api::Answer Create(const std::shared_ptr<api::Call>& call);
    api::Answer List(const std::shared_ptr<api::Call>& call);
    api::Answer Get(const std::shared_ptr<api::Call>& call);
    api::Answer Update(const std::shared_ptr<api::Call>& call);
    api::Answer Delete(const std::shared_ptr<api::Call>& call);
    api::Answer Verify(const std::shared_ptr<api::Call>& call);

    std::string Json(const api::Call& call, const Domain& domain) const;
    access::StoredAnswer Insert(db::Transaction& tx, const api::Call& call, Domain domain);
    void Announce(
        db::Session& tx, const api::Call& call, const Domain& domain, const DomainEvent& event
    );

    const ApiDeps& deps_;
};

}  // namespace opensend::domains
