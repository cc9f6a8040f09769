#pragma once

#include <memory>
#include <string>

#include "kernel/access/idempotency.h"
#include "kernel/api/router.h"
#include "kernel/crypto/keyring.h"
#include "kernel/db/pool.h"
#include "kernel/egress/guard.h"
#include "kernel/resources/webhooks/webhook_store.h"

namespace opensend::webhooks {

/// Routes of REST 2.14 that exist so far: create, list, get, delete.
class WebhooksApi {
public:
    WebhooksApi(
        db::Pool& pool,
        const crypto::Keyring& keyring,
        const egress::Guard& guard,
        access::Idempotency& idempotency,
        base::UuidSource& ids,
        base::Random& random
    )
        : pool_(pool),
          keyring_(keyring),
          guard_(guard),
          idempotency_(idempotency),
          ids_(ids),
          random_(random) {}
    void Mount(api::Router& router);

private:
    api::Answer Create(const std::shared_ptr<api::Call>& call);
    api::Answer List(const std::shared_ptr<api::Call>& call);
    api::Answer Get(const std::shared_ptr<api::Call>& call);
    api::Answer Delete(const std::shared_ptr<api::Call>& call);

    db::Pool& pool_;
    const crypto::Keyring& keyring_;
    const egress::Guard& guard_;
    access::Idempotency& idempotency_;
    base::UuidSource& ids_;
    base::Random& random_;
};

}  // namespace opensend::webhooks
