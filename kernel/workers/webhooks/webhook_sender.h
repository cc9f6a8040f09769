#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "kernel/base/guarded.h"
#include "kernel/base/random.h"
#include "kernel/crypto/keyring.h"
#include "kernel/db/batcher.h"
#include "kernel/egress/client.h"
#include "kernel/egress/guard.h"
#include "kernel/resources/webhooks/webhook_store.h"
#include "kernel/runtime/worker.h"

namespace opensend::webhook_delivery {

/// Delay before attempt `next` (2…10) after the end of the one before, with ±10 % jitter; nullopt:
/// the ladder has ended (HOOK-22).
std::optional<base::Duration> LadderDelay(int64_t next, double random01);

/// Sends due deliveries: guard, sign, post, record. At most a few attempts per endpoint at once, so
/// a slow one delays nobody else (HOOK-30).
class WebhookSender {
public:
    struct Options {
        std::chrono::milliseconds timeout{15'000};
        size_t per_endpoint = 4;
        size_t max_in_flight = 256;
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
    };
    WebhookSender(Deps deps, Options options);
    ~WebhookSender();
    void Wake();

private:
    void Loop(runtime::StopToken& stop);
    bool ClaimOnce();
    void Attempt(const webhooks::ClaimedDelivery& delivery);
    void Finish(webhooks::AttemptRecord record, const egress::FetchResult& result);
    void Submit(webhooks::AttemptRecord record);

    Deps deps_;
    Options options_;
    std::string owner_;
    std::atomic<size_t> in_flight_{0};
    std::atomic<bool> stopping_{false};
    base::Guarded<std::map<model::WebhookId, size_t>> per_endpoint_;
    std::unique_ptr<db::Batcher<webhooks::AttemptRecord>> records_;
    std::unique_ptr<runtime::WorkerPool> pool_;
    std::unique_ptr<runtime::Worker> worker_;
    base::Guarded<runtime::Worker*> wakeable_;  // the worker while it may be woken
};

}  // namespace opensend::webhook_delivery
