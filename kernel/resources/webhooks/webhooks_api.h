#pragma once

#include <functional>
#include <memory>
#include <string>

#include "kernel/access/idempotency.h"
#include "kernel/api/router.h"
#include "kernel/crypto/keyring.h"
#include "kernel/db/pool.h"
#include "kernel/db/transaction.h"
#include "kernel/egress/guard.h"
#include "kernel/resources/webhooks/delivery_log.h"
#include "kernel/resources/webhooks/replay_store.h"
#include "kernel/resources/webhooks/webhook_store.h"

namespace opensend::webhooks {

/// Routes of REST 2.14.
class WebhooksApi {
public:
    struct Deps {
        db::Pool& pool;
        const crypto::Keyring& keyring;
        const egress::Guard& guard;
        access::Idempotency& idempotency;
        base::UuidSource& ids;
        base::Random& random;
        std::function<void()> wake_events;    // an event waits for its place
        std::function<void()> wake_webhooks;  // a delivery or a replay is due
    };
    explicit WebhooksApi(Deps deps) : deps_(std::move(deps)) {}
    void Mount(api::Router& router);

private:
    using CallPtr = std::shared_ptr<api::Call>;
    // The endpoints themselves.
    api::Answer Create(const CallPtr& call);
    api::Answer List(const CallPtr& call);
    api::Answer Get(const CallPtr& call);
    api::Answer Update(const CallPtr& call);
    api::Answer Delete(const CallPtr& call);
    api::Answer Rotate(const CallPtr& call);
    api::Answer Test(const CallPtr& call);
    api::Answer Enable(const CallPtr& call);
    // What went to them.
    api::Answer ListEvents(const CallPtr& call);
    api::Answer GetEvent(const CallPtr& call);
    api::Answer ListAttempts(const CallPtr& call);
    api::Answer ReplayEvent(const CallPtr& call);
    api::Answer ReplayRange(const CallPtr& call);
    api::Answer ListDeliveries(const CallPtr& call);
    api::Answer ReplayDelivery(const CallPtr& call);

    /// The endpoint of the path. Throws 404.
    Webhook Held(db::Session& tx, const api::Call& call) const;
    /// The same, able to take deliveries. Throws 409 webhook_disabled.
    Webhook Ready(db::Session& tx, const api::Call& call) const;
    DeliveryLog::Of Visible(db::Session& session, const api::Call& call) const;
    /// The object as this caller may see it; reading the secret leaves an audit entry.
    std::string Shown(db::Session& tx, const api::Call& call, const Webhook& hook, bool log_read);
    base::Secret OpenSecret(const api::Call& call, const Webhook& hook) const;
    void Audit(
        db::Session& tx,
        const api::Call& call,
        std::string_view action,
        const Webhook& hook,
        std::string metadata
    );

    Deps deps_;
};

}  // namespace opensend::webhooks
