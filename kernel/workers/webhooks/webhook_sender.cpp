#include "kernel/workers/webhooks/webhook_sender.h"

#include <algorithm>

#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/events/event_log.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"
#include "kernel/workers/webhooks/svix_signature.h"

namespace opensend::webhook_delivery {
namespace {

constexpr std::chrono::seconds kLease{60};
constexpr std::chrono::milliseconds kPoll{250};
constexpr std::chrono::hours kMaxRetryAfter{24};
constexpr size_t kMaxResponseShown = 1000;
constexpr int kClaimBatch = 64;
constexpr size_t kPrepareThreads = 4;

/// First characters of the answer with control characters escaped.
std::string ShownResponse(const std::string& body) {
    std::string out;
    size_t count = 0;
    for (size_t at = 0; at < body.size() && count < kMaxResponseShown; ++count) {
        const size_t start = at;
        const uint32_t cp = base::NextCodePoint(body, at);
        if (cp < 0x20 || cp == 0x7f) {
            out += base::Cat("\\x", base::HexEncode(body.substr(start, 1)));
        } else if (cp == 0xFFFD) {
            out += "\xef\xbf\xbd";
        } else {
            out += body.substr(start, at - start);
        }
    }
    return out;
}

/// Guard reasons as an attempt shows them (EGR-09).
std::string AttemptError(const std::string& guard_reason) {
    const bool dns = guard_reason == "dns_resolution_failed" || guard_reason == "no_dns_records";
    return dns ? "dns_failed" : "unsafe_url";
}

}  // namespace

std::optional<base::Duration> LadderDelay(int64_t next, double random01) {
    using std::chrono::hours;
    using std::chrono::minutes;
    using std::chrono::seconds;
    constexpr seconds kLadder[] = {seconds(5), minutes(5), minutes(30), hours(2), hours(5),
                                   hours(10),  hours(14),  hours(20),   hours(24)};
    if (next < 2 || next - 2 >= std::ssize(kLadder)) return std::nullopt;
    const auto us = static_cast<double>(base::Duration(kLadder[next - 2]).count());
    return base::Duration(static_cast<int64_t>(us * (0.9 + 0.2 * random01)));
}

WebhookSender::WebhookSender(Deps deps, Options options) : deps_(deps), options_(options) {
    owner_ = base::HexEncode(deps_.random.String(16));
    records_ = std::make_unique<db::Batcher<webhooks::AttemptRecord>>(
        deps_.pool,
        db::BatchWorker::Options{
            .name = "hook-results",
            .plane = db::Plane::kEvents,
            .max_batch = 128,
            .max_queue = 100'000},
        [this](db::Transaction& tx, std::span<webhooks::AttemptRecord* const> records) {
            for (const auto* record : records)
                webhooks::DeliveryStore::Record(tx, *record, deps_.ids);
        }
    );
    if (options_.single_process) {
        db::Transaction tx(deps_.pool, db::Plane::kEvents, db::Scope::AllTenants());
        webhooks::DeliveryStore::ReleaseExpired(tx, deps_.clock.Now(), owner_);
        tx.Commit();
    }
    pool_ = std::make_unique<runtime::WorkerPool>("hook-prepare", kPrepareThreads, 10'000);
    worker_ = std::make_unique<runtime::Worker>("webhooks", [this](runtime::StopToken& stop) {
        Loop(stop);
    });
    wakeable_.With([&](auto& worker) { worker = worker_.get(); });
}

WebhookSender::~WebhookSender() {
    // No claim is under way once the worker is gone; then what is out comes to its end.
    stopping_ = true;
    wakeable_.With([](auto& worker) { worker = nullptr; });
    worker_.reset();
    while (in_flight_.load() > 0) {
        runtime::StopToken pause;
        pause.SleepFor(std::chrono::milliseconds(5));
    }
    pool_.reset();
    records_.reset();
}

void WebhookSender::Wake() {
    wakeable_.With([](runtime::Worker* worker) {
        if (worker != nullptr) worker->Wake();
    });
}

void WebhookSender::Loop(runtime::StopToken& stop) {
    base::MonoTime reaped = deps_.clock.Mono();
    while (!stop.stopped()) {
        bool worked = false;
        try {
            if (deps_.clock.Mono() - reaped > std::chrono::seconds(10)) {
                db::Transaction tx(deps_.pool, db::Plane::kEvents, db::Scope::AllTenants());
                webhooks::DeliveryStore::ReleaseExpired(tx, deps_.clock.Now(), "");
                tx.Commit();
                reaped = deps_.clock.Mono();
            }
            if (!stopping_.load() && in_flight_.load() < options_.max_in_flight)
                worked = ClaimOnce();
        } catch (const base::Error& error) {
            OPENSEND_LOG(
                kError, "webhooks.claim_failed", "deliveries could not be claimed",
                kv("detail", error.what())
            );
            stop.SleepFor(std::chrono::seconds(1));
        }
        if (!worked) stop.SleepFor(kPoll);
    }
}

bool WebhookSender::ClaimOnce() {
    const base::Time now = deps_.clock.Now();
    std::vector<webhooks::ClaimedDelivery> claimed;
    std::vector<webhooks::ClaimedDelivery> mine;
    {
        db::Transaction tx(deps_.pool, db::Plane::kEvents, db::Scope::AllTenants());
        claimed = webhooks::DeliveryStore::Claim(tx, owner_, now, now + kLease, kClaimBatch);
        if (claimed.empty()) return false;
        for (const auto& delivery : claimed) {
            const bool room = per_endpoint_.With([&](auto& map) {
                size_t& running = map[delivery.webhook];
                if (running >= options_.per_endpoint) return false;
                ++running;
                return true;
            });
            // A full endpoint gets this one back in a moment: others go first.
            if (room) {
                mine.push_back(delivery);
            } else {
                webhooks::DeliveryStore::Unclaim(
                    tx, delivery, now + std::chrono::milliseconds(100)
                );
            }
        }
        tx.Commit();
    }
    in_flight_ += mine.size();
    for (const auto& delivery : mine) {
        const bool taken = pool_->Run([this, delivery] { Attempt(delivery); });
        if (!taken) Attempt(delivery);
    }
    return !mine.empty();
}

void WebhookSender::Attempt(const webhooks::ClaimedDelivery& delivery) {
    webhooks::AttemptRecord record;
    record.delivery = delivery;
    record.started_at = deps_.clock.Now();
    const auto fail = [&](std::string error) {
        record.error = std::move(error);
        egress::FetchResult none;
        none.failure = egress::ClientFailure::kConnectFailed;
        Finish(std::move(record), none);
    };
    try {
        std::optional<webhooks::Webhook> hook;
        std::optional<webhooks::DeliveryStore::EventBody> event;
        {
            db::Reader reader(deps_.pool, db::Scope::AllTenants(), db::Plane::kEvents);
            hook = webhooks::WebhookStore::Find(reader, delivery.tenant, delivery.webhook);
            event = webhooks::DeliveryStore::FindEvent(reader, delivery.tenant, delivery.event);
        }
        if (!hook || !event) return fail("secret_unavailable");
        const std::string org = delivery.tenant.ToString();
        const std::string row = delivery.webhook.ToString();
        std::vector<base::Secret> secrets;
        auto current =
            deps_.keyring.Open({"webhooks", "signing_secret", org, row}, hook->signing_secret);
        if (!current.ok()) {
            runtime::Count("opensend_decrypt_failures_total", {"webhooks"});
            return fail("secret_unavailable");
        }
        secrets.push_back(std::move(*current));
        const bool overlap = hook->signing_secret_prev && hook->prev_expires_at &&
                             *hook->prev_expires_at > record.started_at;
        if (overlap) {
            auto previous = deps_.keyring.Open(
                {"webhooks", "signing_secret_prev", org, row}, *hook->signing_secret_prev
            );
            if (previous.ok()) secrets.push_back(std::move(*previous));
        }
        const auto checked = deps_.guard.Check(hook->endpoint);
        if (!checked.ok()) {
            OPENSEND_LOG(
                kWarn, "webhooks.url_refused", "an endpoint's address is not allowed",
                kv("webhook_id", delivery.webhook), kv("detail", checked.error().detail)
            );
            return fail(AttemptError(checked.error().reason));
        }
        egress::FetchRequest request;
        request.url = checked->url.url;
        request.pinned = checked->addresses;
        request.deadline = options_.timeout;
        request.body = events::Envelope(
            delivery.event, event->type, event->created_at, event->sequence, event->data
        );
        const std::string id = model::MessageIdOf(delivery.event);
        const int64_t timestamp = record.started_at.Seconds();
        const auto signature = SignWebhook(secrets, id, timestamp, request.body);
        if (!signature) return fail("secret_unavailable");
        request.headers.Add("Content-Type", "application/json");
        request.headers.Add("User-Agent", "OpenSend-Webhooks/1");
        request.headers.Add("Accept", "*/*");
        request.headers.Add("webhook-attempt", base::Cat(delivery.attempts + 1));
        for (const std::string_view family : {"webhook", "svix"}) {
            request.headers.Add(base::Cat(family, "-id"), id);
            request.headers.Add(base::Cat(family, "-timestamp"), base::Cat(timestamp));
            request.headers.Add(base::Cat(family, "-signature"), *signature);
        }
        auto shared = std::make_shared<webhooks::AttemptRecord>(std::move(record));
        deps_.http.Start(std::move(request), [this, shared](egress::FetchResult result) {
            Finish(std::move(*shared), result);
        });
    } catch (const base::Error& error) {
        OPENSEND_LOG(
            kError, "webhooks.attempt_failed", "an attempt could not begin",
            kv("detail", error.what())
        );
        fail("connect_failed");
    }
}

void WebhookSender::Finish(webhooks::AttemptRecord record, const egress::FetchResult& result) {
    const base::Time now = deps_.clock.Now();
    const int64_t number = record.delivery.attempts + 1;
    record.duration_ms = (now - record.started_at).count() / 1000;
    record.remote_address = result.remote_address;
    record.response = ShownResponse(result.body);
    record.http_status = result.failure == egress::ClientFailure::kNone ? result.status : 0;
    if (!record.error && result.failure != egress::ClientFailure::kNone) {
        record.error = std::string(egress::ToText(result.failure));
    }
    const bool success = !record.error && result.status >= 200 && result.status < 300;
    if (!record.error && result.status >= 300 && result.status < 400) {
        record.error = "redirect_refused";
    }
    const auto bytes = deps_.random.Bytes<2>();
    const auto delay = LadderDelay(number + 1, (bytes[0] * 256 + bytes[1]) / 65536.0);
    record.due_at = now;
    if (success) {
        record.next_status = "success";
    } else if (result.status == 410 || !delay) {
        record.next_status = "failed";
    } else {
        record.next_status = "pending";
        base::Duration wait = *delay;
        const auto header = result.headers.Find("Retry-After");
        const auto seconds = header ? base::ParseInt(base::Trim(*header)) : std::nullopt;
        const bool heeded = result.status == 429 || result.status == 503;
        if (heeded && seconds && *seconds > 0 && std::chrono::seconds(*seconds) <= kMaxRetryAfter) {
            wait = std::max<base::Duration>(wait, std::chrono::seconds(*seconds));
        }
        record.due_at = now + wait;
    }
    runtime::Count("opensend_webhook_attempts_total", {success ? "success" : "failure"});
    Submit(std::move(record));
}

void WebhookSender::Submit(webhooks::AttemptRecord record) {
    const auto finished = [this, webhook = record.delivery.webhook] {
        per_endpoint_.With([&](auto& map) {
            const auto found = map.find(webhook);
            if (found != map.end() && --found->second == 0) map.erase(found);
        });
        Wake();
        --in_flight_;
    };
    auto shared = std::make_shared<webhooks::AttemptRecord>(std::move(record));
    const bool taken = records_->Submit(shared, [finished](std::exception_ptr failure) {
        if (failure) {
            OPENSEND_LOG(kError, "webhooks.record_failed", "an attempt could not be stored");
        }
        finished();
    });
    if (!taken) finished();
}

}  // namespace opensend::webhook_delivery
