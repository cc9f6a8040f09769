#include "kernel/workers/webhooks/webhook_sender.h"

#include <algorithm>

#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/events/event_log.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"
#include "kernel/runtime/pulse.h"
#include "kernel/workers/webhooks/svix_signature.h"

namespace opensend::webhook_delivery {
namespace {

constexpr std::chrono::seconds kLease{60};
constexpr std::chrono::milliseconds kPoll{250};
constexpr std::chrono::seconds kReapEvery{10};
constexpr std::chrono::hours kMaxRetryAfter{24};
// The whole ladder with its jitter.
constexpr std::chrono::hours kHorizon{84};
constexpr size_t kMaxResponseShown = 1000;
constexpr size_t kMaxHeadersKept = 4096;
constexpr int kTurns = 64;
constexpr size_t kQuickThreads = 4, kSlowThreads = 32;

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

/// Lines of the answer's head, without what a receiver sets for a browser.
std::string KeptHeaders(const http::Headers& headers) {
    std::string out;
    for (const auto& [name, value] : headers.all()) {
        if (base::EqualsIgnoreCase(name, "set-cookie")) continue;
        const std::string line = base::Cat(name, ": ", value, '\n');
        if (out.size() + line.size() > kMaxHeadersKept) break;
        for (size_t at = 0; at < line.size();) {
            const size_t start = at;
            const bool valid = base::NextCodePoint(line, at) != 0xFFFD;
            out += valid ? line.substr(start, at - start) : "?";
        }
    }
    return out;
}

/// The reason as the contract names it.
std::string AttemptFailure(egress::ClientFailure failure) {
    if (failure == egress::ClientFailure::kProtocol) return "connect_failed";
    return std::string(egress::ToText(failure));
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

WebhookSender::WebhookSender(Deps deps, Options options)
    : deps_(std::move(deps)),
      options_(options),
      slots_(Slots(options.slots)),
      recorder_(deps_.ids, deps_.clock, {options.disable_after}) {
    owner_ = base::HexEncode(deps_.random.String(16));
    records_ = std::make_unique<db::Batcher<webhooks::AttemptRecord>>(
        deps_.pool,
        db::BatchWorker::Options{
            .name = "hook-results",
            .plane = db::Plane::kEvents,
            .max_batch = 128,
            .max_queue = 100'000},
        [this](db::Transaction& tx, std::span<webhooks::AttemptRecord* const> records) {
            const std::vector<const webhooks::AttemptRecord*> all(records.begin(), records.end());
            if (recorder_.Apply(tx, all)) deps_.wake_events();
        }
    );
    if (options_.single_process) {
        db::Transaction tx(deps_.pool, db::Plane::kEvents, db::Scope::AllTenants());
        webhooks::DeliveryStore::ReleaseExpired(tx, deps_.clock.Now(), owner_);
        tx.Commit();
    }
    quick_ = std::make_unique<runtime::WorkerPool>("hook-quick", kQuickThreads, 10'000);
    slow_ = std::make_unique<runtime::WorkerPool>("hook-slow", kSlowThreads, 10'000);
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
    quick_.reset();
    slow_.reset();
    records_.reset();
}

void WebhookSender::Wake() {
    wakeable_.With([](runtime::Worker* worker) {
        if (worker != nullptr) worker->Wake();
    });
}

void WebhookSender::Reap() {
    const base::Time now = deps_.clock.Now();
    db::Transaction tx(deps_.pool, db::Plane::kEvents, db::Scope::AllTenants());
    webhooks::DeliveryStore::ReleaseExpired(tx, now, "");
    webhooks::DeliveryStore::ForgetStuck(tx, now - kHorizon);
    tx.Commit();
}

void WebhookSender::Loop(runtime::StopToken& stop) {
    base::MonoTime reaped = deps_.clock.Mono();
    while (!stop.stopped()) {
        runtime::Beat("webhooks", kPoll, deps_.clock.Now());
        bool worked = false;
        try {
            if (deps_.clock.Mono() - reaped > kReapEvery) {
                Reap();
                reaped = deps_.clock.Mono();
            }
            if (!stopping_.load()) worked = ClaimOnce();
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

std::vector<webhooks::ClaimedDelivery> WebhookSender::Claim() {
    using webhooks::EndpointQueue;
    const base::Time now = deps_.clock.Now();
    // Only this thread begins attempts: what ends meanwhile makes more room, never less.
    Slots slots = slots_.With([](const Slots& current) { return current; });
    std::vector<webhooks::ClaimedDelivery> claimed;
    if (slots.full()) return claimed;
    db::Transaction tx(deps_.pool, db::Plane::kEvents, db::Scope::AllTenants());
    const auto turns = EndpointQueue::Due(tx, now, slots.Closed(), kTurns);
    if (turns.empty()) return claimed;
    const EndpointQueue::Claim claim{
        owner_, webhooks::DeliveryStore::NextFence(tx), now, now + kLease};
    std::vector<EndpointQueue::Key> parked, requeued;
    for (const webhooks::EndpointTurn& turn : turns) {
        const auto limit = static_cast<int64_t>(slots.EndpointLimit(turn));
        const int64_t under_way = EndpointQueue::UnderWay(tx, turn);
        const auto room = std::min(limit - under_way, static_cast<int64_t>(slots.Room(turn)));
        if (under_way < limit && room <= 0) continue;  // its turn comes when others end
        std::vector<webhooks::ClaimedDelivery> taken;
        if (room > 0) taken = EndpointQueue::Take(tx, turn, claim, room);
        for (const auto& delivery : taken) slots.Begin(delivery);
        const bool full = under_way + std::ssize(taken) >= limit;
        (full ? parked : requeued).emplace_back(turn.tenant, turn.webhook);
        claimed.insert(claimed.end(), taken.begin(), taken.end());
    }
    EndpointQueue::Park(tx, parked);
    EndpointQueue::Requeue(tx, requeued);
    tx.Commit();
    return claimed;
}

bool WebhookSender::ClaimOnce() {
    const auto claimed = Claim();
    in_flight_ += claimed.size();
    slots_.With([&](Slots& slots) {
        for (const auto& delivery : claimed) slots.Begin(delivery);
    });
    for (const auto& delivery : claimed) {
        auto& pool = delivery.proven && !delivery.failing ? *quick_ : *slow_;
        const bool taken = pool.Run([this, delivery] { Attempt(delivery); });
        if (!taken) Attempt(delivery);
    }
    return !claimed.empty();
}

std::optional<std::string> WebhookSender::Sign(
    const webhooks::ClaimedDelivery& delivery,
    const webhooks::Webhook& hook,
    base::Time now,
    std::string_view body
) const {
    const std::string org = delivery.tenant.ToString();
    const std::string row = delivery.webhook.ToString();
    std::vector<base::Secret> secrets;
    const auto open = [&](std::string_view column, const std::string& sealed) {
        auto secret = deps_.keyring.Open({"webhooks", column, org, row}, sealed);
        if (!secret.ok()) {
            runtime::Count("opensend_decrypt_failures_total", {"webhooks"});
            return false;
        }
        secrets.push_back(std::move(*secret));
        return true;
    };
    if (!open("signing_secret", hook.signing_secret)) return std::nullopt;
    const bool overlap =
        hook.signing_secret_prev && hook.prev_expires_at && *hook.prev_expires_at > now;
    // Receivers that still have the old secret would refuse a request without its signature.
    if (overlap && !open("signing_secret_prev", *hook.signing_secret_prev)) return std::nullopt;
    return SignWebhook(secrets, model::MessageIdOf(delivery.event), now.Seconds(), body);
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
        if (!hook || !hook->is_enabled() || !event) return GiveBack(delivery, true);
        if (const auto url = deps_.guard.CheckUrl(hook->endpoint); url.ok()) {
            record.url_host = url->host;
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
        const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(
            deps_.clock.Now() - record.started_at
        );
        request.deadline = std::max(options_.timeout - spent, std::chrono::milliseconds(1));
        request.body = events::Envelope(
            delivery.event, event->type, event->created_at, event->sequence, event->data
        );
        const auto signature = Sign(delivery, *hook, record.started_at, request.body);
        if (!signature) return fail("secret_unavailable");
        request.headers.Add("Content-Type", "application/json");
        request.headers.Add("User-Agent", "OpenSend-Webhooks/1");
        request.headers.Add("Accept", "*/*");
        request.headers.Add("webhook-attempt", base::Cat(delivery.attempts + 1));
        for (const std::string_view family : {"webhook", "svix"}) {
            request.headers.Add(base::Cat(family, "-id"), model::MessageIdOf(delivery.event));
            request.headers.Add(
                base::Cat(family, "-timestamp"), base::Cat(record.started_at.Seconds())
            );
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
        GiveBack(delivery, false);
    }
}

void WebhookSender::GiveBack(const webhooks::ClaimedDelivery& delivery, bool stop) {
    try {
        db::Transaction tx(deps_.pool, db::Plane::kEvents, db::Scope::AllTenants());
        if (stop) {
            webhooks::DeliveryStore::Stop(tx, delivery);
        } else {
            webhooks::DeliveryStore::Unclaim(
                tx, delivery, deps_.clock.Now() + std::chrono::seconds(1)
            );
        }
        tx.Commit();
    } catch (const base::Error& error) {
        // The lease ends by itself.
        OPENSEND_LOG(
            kError, "webhooks.release_failed", "a delivery could not be given back",
            kv("detail", error.what())
        );
    }
    Release(delivery);
}

void WebhookSender::Finish(webhooks::AttemptRecord record, const egress::FetchResult& result) {
    if (result.failure == egress::ClientFailure::kCanceled) {
        // Not an attempt: the lease ends and the delivery is tried again.
        return Release(record.delivery);
    }
    const base::Time now = deps_.clock.Now();
    const int64_t number = record.delivery.attempts + 1;
    record.duration_ms = (now - record.started_at).count() / 1000;
    record.remote_address = result.remote_address;
    record.tls_version = result.tls_version;
    record.headers = KeptHeaders(result.headers);
    const bool answered = result.failure == egress::ClientFailure::kNone;
    if (answered) record.response = ShownResponse(result.body);
    record.http_status = answered ? result.status : 0;
    if (!record.error && result.failure != egress::ClientFailure::kNone) {
        record.error = AttemptFailure(result.failure);
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

void WebhookSender::Release(const webhooks::ClaimedDelivery& delivery) {
    slots_.With([&](Slots& slots) { slots.End(delivery); });
    Wake();
    --in_flight_;
}

void WebhookSender::Submit(webhooks::AttemptRecord record) {
    auto shared = std::make_shared<webhooks::AttemptRecord>(std::move(record));
    const auto finished = [this, delivery = shared->delivery] { Release(delivery); };
    const bool taken = records_->Submit(shared, [finished](std::exception_ptr failure) {
        if (failure) {
            OPENSEND_LOG(kError, "webhooks.record_failed", "an attempt could not be stored");
        }
        finished();
    });
    if (!taken) finished();
}

}  // namespace opensend::webhook_delivery
