#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kernel/base/guarded.h"
#include "kernel/base/random.h"
#include "kernel/crypto/keyring.h"
#include "kernel/db/batcher.h"
#include "kernel/egress/client.h"
#include "kernel/egress/guard.h"
#include "kernel/resources/webhooks/delivery_store.h"
#include "kernel/resources/webhooks/webhook_store.h"
#include "kernel/runtime/worker.h"
#include "kernel/workers/webhooks/attempt_recorder.h"
#include "kernel/workers/webhooks/slots.h"

namespace opensend::webhook_delivery {

/// Delay before attempt `next` (2…10) after the end of the one before, with ±10 % jitter; nullopt:
/// the ladder has ended (HOOK-22).
std::optional<base::Duration> LadderDelay(int64_t next, double random01);

/// Sends due deliveries: guard, sign, post, record. Endpoints take turns and each has a few slots,
/// so a slow one delays nobody else (HOOK-30).
class WebhookSender {
public:
    struct Options {
        std::chrono::milliseconds timeout{15'000};
        Slots::Limits slots;
        base::Duration disable_after{std::chrono::hours(5 * 24)};
        bool single_process = true;
    };
    struct Deps {
        db::Pool& pool;
        const crypto::Keyring& keyring;
        const egress::Guard& guard;
        egress::Client& http;
        base::UuidSource& ids;
        base::Random& random;
        const base::Clock& clock;
        std::function<void()> wake_events = [] {};  // an endpoint was switched off
    };
    WebhookSender(Deps deps, Options options);
    ~WebhookSender();
    void Wake();

private:
    void Loop(runtime::StopToken& stop);
    void Reap();
    bool ClaimOnce();
    std::vector<webhooks::ClaimedDelivery> Claim();
    void Attempt(const webhooks::ClaimedDelivery& delivery);
    std::optional<std::string> Sign(
        const webhooks::ClaimedDelivery& delivery,
        const webhooks::Webhook& hook,
        base::Time now,
        std::string_view body
    ) const;
    void GiveBack(const webhooks::ClaimedDelivery& delivery, bool stop);
    void Finish(webhooks::AttemptRecord record, const egress::FetchResult& result);
    void Submit(webhooks::AttemptRecord record);
    void Release(const webhooks::ClaimedDelivery& delivery);

    Deps deps_;
    Options options_;
    std::string owner_;
    std::atomic<size_t> in_flight_{0};
    std::atomic<bool> stopping_{false};
    base::Guarded<Slots> slots_;
    AttemptRecorder recorder_;
    std::unique_ptr<db::Batcher<webhooks::AttemptRecord>> records_;
    // Names of endpoints that answered last are looked up apart from those of the others.
    std::unique_ptr<runtime::WorkerPool> quick_, slow_;
    std::unique_ptr<runtime::Worker> worker_;
    base::Guarded<runtime::Worker*> wakeable_;  // the worker while it may be woken
};

}  // namespace opensend::webhook_delivery
