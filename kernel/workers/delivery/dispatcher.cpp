#include "kernel/workers/delivery/dispatcher.h"

#include <algorithm>

#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/json/writer.h"
#include "kernel/resources/emails/simulator.h"
#include "kernel/runtime/crash_point.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"
#include "kernel/runtime/pulse.h"

namespace opensend::delivery {
namespace {

using queue::Lane;
using queue::Phase;

constexpr std::chrono::milliseconds kPoll{500};
constexpr std::chrono::seconds kNoRouteWait{15};
constexpr std::chrono::seconds kCircuitWait{5};
constexpr std::chrono::seconds kReapInterval{10};
constexpr std::chrono::milliseconds kPaceSlack{5};
constexpr int64_t kPoisonClaims = 5;
constexpr size_t kClaimers = 2;

/// Lanes and their share of a claim round (SEND-19).
struct LaneShare {
    Lane lane;
    int weight;
};
constexpr LaneShare kLanes[] = {
    {Lane::kSystem,        4},
    {Lane::kTransactional, 4},
    {Lane::kBulk,          1}
};

uint64_t SeedOf(const model::EmailId& id) { return std::hash<base::Uuid>{}(id.uuid()); }

/// Why a transport was chosen, for explain.
std::string RouteText(const RoutePlanner::Choice& choice) {
    json::Writer out;
    out.BeginObject().Field("group", choice.group).Field("transport", choice.transport);
    out.Key("skipped").BeginArray();
    for (const auto& skipped : choice.skipped) {
        out.BeginObject().Field("transport", skipped.transport);
        out.Field("reason", skipped.reason).EndObject();
    }
    out.EndArray().EndObject();
    return out.Take();
}

std::string DomainOf(const std::string& address) { return address.substr(address.rfind('@') + 1); }

}  // namespace

/// What one claim round decided.
struct Dispatcher::Batch {
    std::vector<Outcome> done;                            // without any transport
    std::vector<std::shared_ptr<ClaimedRecipient>> wire;  // to hand over
    std::vector<std::shared_ptr<const model::OutgoingMessage>> messages;
};

Dispatcher::Dispatcher(Deps deps, Options options)
    : deps_(std::move(deps)),
      options_(options),
      recorder_(deps_.ids, deps_.clock),
      journal_(options_.journal_path),
      pacer_(options_.paces) {
    owner_ = base::HexEncode(deps_.random.String(16));
    outcomes_ = std::make_unique<db::Batcher<Outcome>>(
        deps_.pool,
        db::BatchWorker::Options{
            .name = "outcomes",
            .plane = db::Plane::kDeliver,
            .max_batch = 256,
            .max_queue = 1'000'000},
        [this](db::Transaction& tx, std::span<Outcome* const> outcomes) {
            recorder_.Apply(tx, outcomes);
        }
    );
    // Results first: a replayed one still finds its lease.
    ReplayJournal();
    Reap(options_.single_process);
    tender_ =
        std::make_unique<runtime::Worker>("delivery-tend", [this](auto& stop) { Tend(stop); });
    for (size_t i = 0; i < kClaimers; ++i) {
        claimers_.push_back(std::make_unique<runtime::Worker>(
            base::Cat("delivery-", i), [this](runtime::StopToken& stop) { ClaimLoop(stop); }
        ));
    }
}

Dispatcher::~Dispatcher() {
    stopping_ = true;
    claimers_.clear();
    // What is on the wire ends by its deadline at the latest; its results are recorded. The tender
    // keeps the leases meanwhile.
    while (in_flight_.load() > 0) {
        runtime::StopToken pause;
        pause.SleepFor(std::chrono::milliseconds(5));
    }
    tender_.reset();
    outcomes_.reset();
}

void Dispatcher::Wake() {
    for (auto& claimer : claimers_) claimer->Wake();
}

double Dispatcher::Random01() {
    const auto bytes = deps_.random.Bytes<2>();
    return (bytes[0] * 256 + bytes[1]) / 65536.0;
}

void Dispatcher::ClaimLoop(runtime::StopToken& stop) {
    while (!stop.stopped()) {
        runtime::Beat("delivery", kPoll, deps_.clock.Now());
        if (in_flight_.load() >= options_.max_in_flight) {
            stop.SleepFor(std::chrono::milliseconds(2));
            continue;
        }
        bool worked = false;
        try {
            worked = ClaimOnce();
        } catch (const base::Error& error) {
            OPENSEND_LOG(
                kError, "delivery.claim_failed", "mail could not be claimed",
                kv("detail", error.what())
            );
            stop.SleepFor(std::chrono::seconds(1));
        }
        if (!worked) stop.SleepFor(kPoll);
    }
}

bool Dispatcher::ClaimOnce() {
    ReplayJournal();
    std::vector<std::shared_ptr<ClaimedRecipient>> claimed;
    {
        const base::Time now = deps_.clock.Now();
        db::Transaction tx(deps_.pool, db::Plane::kDeliver, db::Scope::AllTenants());
        for (const auto& [lane, weight] : kLanes) {
            const int limit = std::max(1, options_.claim_batch * weight / 4);
            std::string turn = turns_.With([lane = lane](auto& turns) { return turns[lane]; });
            auto some =
                ClaimMail(tx, lane, owner_, now, now + options_.lease, limit, turn, deps_.ids);
            turns_.With([&, lane = lane](auto& turns) { turns[lane] = turn; });
            claimed.insert(claimed.end(), some.begin(), some.end());
        }
        if (claimed.empty()) return false;
        tx.Commit();
    }
    OPENSEND_CRASH_POINT("claimed");
    runtime::Count("opensend_claims_total", {}, claimed.size());
    in_flight_ += claimed.size();
    fences_.With([&](auto& fences) {
        for (const auto& work : claimed) ++fences[work->lease.fence];
    });
    Batch batch;
    for (const auto& work : claimed) {
        try {
            Decide(work, batch);
        } catch (const std::exception& error) {
            OPENSEND_LOG(
                kError, "delivery.decide_failed", "a message could not be prepared",
                kv("email_id", work->row.email), kv("detail", error.what())
            );
            batch.done.push_back(NotNow(work, "ready", deps_.clock.Now(), std::chrono::seconds(15))
            );
        }
    }
    SendBatch(batch);
    return true;
}

void Dispatcher::Decide(const std::shared_ptr<ClaimedRecipient>& work, Batch& batch) {
    const base::Time now = deps_.clock.Now();
    const LoadedMail& mail = *work->mail;
    const auto& policy = options_.policy;
    const bool simulated = emails::IsSimulatorDomain(DomainOf(work->address));
    if (simulated && work->status == model::EmailStatus::kSent) {
        return batch.done.push_back(Simulate(work, now));
    }
    if (work->row.phase == Phase::kUnknown && policy.unknown != DeliveryPolicy::Unknown::kRetry) {
        return batch.done.push_back(ResolveUnknown(work, policy));
    }
    if (work->row.claims > kPoisonClaims) {
        Outcome held = NotNow(work, "poison", now, base::Duration(0));
        work->row.phase = Phase::kHeld;
        held.steps.push_back({model::EmailStatus::kHeld, "poison", {}, {}, {}});
        runtime::Count("opensend_poison_total");
        OPENSEND_LOG(
            kError, "delivery.poison", "a message never reaches the wire",
            kv("email_id", work->row.email)
        );
        return batch.done.push_back(std::move(held));
    }
    if (now > work->row.first_due_at + policy.max_age) return batch.done.push_back(Expired(work));
    if (mail.org_state != "active") {
        return batch.done.push_back(NotNow(work, "org_suspended", now, std::chrono::minutes(1)));
    }
    if (work->suppression_id) {
        const std::string reason = *work->suppression_reason == "bounced" ? "previous_bounce"
                                   : *work->suppression_reason == "complained"
                                       ? "previous_complaint"
                                       : "manual";
        return batch.done.push_back(
            Suppressed(work, "OnAccountSuppressionList", reason, *work->suppression_id)
        );
    }
    const bool simulator_sender = emails::IsSimulatorDomain(mail.email.from_domain);
    if (simulator_sender ? !simulated : !mail.sender.usable) {
        return batch.done.push_back(Failed(
            work, "domain_not_verified",
            base::Cat("The domain ", mail.email.from_domain, " is no longer verified.")
        ));
    }
    if (simulated) return batch.done.push_back(Simulate(work, now));

    const auto choice = deps_.routes.Choose(
        mail.email.from_domain, mail.email.stream, mail.email.tenant.ToString(),
        SeedOf(work->row.email), deps_.clock.Mono(),
        [this](const std::string& name) { return deps_.find_transport(name) != nullptr; },
        RouteMemory(work->row.routes)
    );
    if (choice.transport.empty()) {
        const auto wait = choice.reason == "no_route" ? kNoRouteWait : kCircuitWait;
        return batch.done.push_back(NotNow(work, choice.reason, now, wait));
    }
    if (const auto wait = pacer_.Admit(choice.transport, deps_.clock.Mono()); wait.count() > 0) {
        return batch.done.push_back(NotNow(
            work, "rate_wait", now, std::chrono::duration_cast<base::Duration>(wait) + kPaceSlack
        ));
    }
    work->transport = choice.transport;
    work->route = RouteText(choice);
    work->attempt = model::AttemptId(deps_.ids.Next());
    const auto margin = options_.lease / 6;
    auto built = deps_.builder.Build(*work, deps_.clock.Mono() + (options_.lease - margin));
    if (auto* failure = std::get_if<BuildFailure>(&built)) {
        switch (failure->kind) {
            case BuildFailure::Kind::kFailed:
                return batch.done.push_back(Failed(work, failure->reason, failure->message));
            case BuildFailure::Kind::kLater: {
                ++work->row.tries;
                Outcome later = NotNow(
                    work, failure->reason, now, queue::RetryDelay(work->row.tries, Random01())
                );
                later.steps.push_back({model::EmailStatus::kDeferred, failure->reason, {}, {}, {}});
                return batch.done.push_back(std::move(later));
            }
            case BuildFailure::Kind::kSigningKey:
                return batch.done.push_back(
                    NotNow(work, failure->reason, now, std::chrono::minutes(5))
                );
        }
    }
    batch.wire.push_back(work);
    batch.messages.push_back(std::get<std::shared_ptr<const model::OutgoingMessage>>(std::move(built
    )));
}

void Dispatcher::SendBatch(Batch& batch) {
    for (Outcome& outcome : batch.done) Record(std::move(outcome));
    if (batch.wire.empty()) return;
    try {
        db::Transaction tx(deps_.pool, db::Plane::kDeliver, db::Scope::AllTenants());
        BeginAttempts(tx, batch.wire, deps_.clock.Now(), deps_.ids);
        tx.Commit();
    } catch (const base::Error&) {
        // Nothing left the building; the leases expire in phase claimed and the rows come back.
        for (const auto& work : batch.wire) Finished(*work);
        throw;
    }
    OPENSEND_CRASH_POINT("wire");
    std::map<std::string, std::vector<size_t>> by_transport;
    for (size_t i = 0; i < batch.wire.size(); ++i) {
        by_transport[batch.wire[i]->transport].push_back(i);
    }
    for (const auto& [name, indexes] : by_transport) {
        model::Transport* transport = deps_.find_transport(name);
        const size_t max =
            transport == nullptr ? 1 : std::max<uint32_t>(1, transport->caps().max_batch);
        for (size_t from = 0; from < indexes.size(); from += max) {
            std::vector<std::shared_ptr<ClaimedRecipient>> work;
            std::vector<std::shared_ptr<const model::OutgoingMessage>> messages;
            for (size_t i = from; i < std::min(from + max, indexes.size()); ++i) {
                work.push_back(batch.wire[indexes[i]]);
                messages.push_back(batch.messages[indexes[i]]);
            }
            if (transport == nullptr) {
                for (auto& item : work) {
                    Record(FromResult(item, model::DeliveryOutcome{}));
                }
            } else {
                HandOver(*transport, std::move(work), std::move(messages));
            }
        }
    }
}

void Dispatcher::HandOver(
    model::Transport& transport,
    std::vector<std::shared_ptr<ClaimedRecipient>> work,
    std::vector<std::shared_ptr<const model::OutgoingMessage>> messages
) {
    auto shared = std::make_shared<std::vector<std::shared_ptr<ClaimedRecipient>>>(std::move(work));
    transport.Deliver(
        std::move(messages),
        [this, shared](size_t index, const model::DeliveryResult& results) {
            OPENSEND_CRASH_POINT("delivered");
            const auto& item = (*shared)[index];
            const model::DeliveryOutcome result =
                results.empty() ? model::DeliveryOutcome{} : results.front();
            deps_.routes.Report(item->transport, result.result, deps_.clock.Mono());
            Record(FromResult(item, result));
        }
    );
}

Outcome Dispatcher::FromResult(
    const std::shared_ptr<ClaimedRecipient>& work, const model::DeliveryOutcome& result
) {
    return FromTransport(
        work, result, options_.policy, deps_.clock.Now(), Random01(),
        [&](const RouteMemory& memory) {
            const emails::Email& email = work->mail->email;
            return deps_.routes.HasFresh(
                email.from_domain, email.stream, email.tenant.ToString(), deps_.clock.Mono(),
                [this](const std::string& name) { return deps_.find_transport(name) != nullptr; },
                memory
            );
        }
    );
}

void Dispatcher::Record(Outcome outcome) {
    auto shared = std::make_shared<Outcome>(std::move(outcome));
    const auto work = shared->work;
    const bool taken = outcomes_->Submit(shared, [this, shared](std::exception_ptr failure) {
        OPENSEND_CRASH_POINT("recorded");
        if (failure) {
            Keep(*shared);
        } else if (!shared->steps.empty()) {
            deps_.wake_sequencer();
        }
        Finished(*shared->work);
    });
    if (!taken) Finished(*work);
}

/// The database could not take a result: it waits on disk, and the lease in the database with it.
void Dispatcher::Keep(const Outcome& outcome) {
    const ClaimedRecipient& work = *outcome.work;
    try {
        if (outcome.attempt) {
            journal_.Append(
                {work.lease, work.row.tenant, work.row.email, work.row.ordinal, work.attempt,
                 work.transport, work.started_at, *outcome.attempt}
            );
        }
        OPENSEND_LOG(
            kError, "delivery.record_failed", "an outcome could not be stored; it is kept on disk",
            kv("email_id", work.row.email)
        );
    } catch (const base::Error& error) {
        // The lease expires: a wire row becomes unknown, a claimed one is queued again.
        OPENSEND_LOG(
            kError, "delivery.journal_failed", "an outcome could not be kept",
            kv("email_id", work.row.email), kv("detail", error.what())
        );
    }
}

void Dispatcher::ReplayJournal() {
    journal_.Replay([this](const std::vector<JournalEntry>& entries) { StoreKept(entries); });
}

void Dispatcher::StoreKept(const std::vector<JournalEntry>& entries) {
    std::map<std::pair<std::string, int64_t>, std::vector<std::shared_ptr<ClaimedRecipient>>>
        leased;
    db::Transaction tx(deps_.pool, db::Plane::kDeliver, db::Scope::AllTenants());
    std::vector<Outcome> outcomes;
    for (const JournalEntry& entry : entries) {
        const auto key = std::make_pair(entry.lease.owner, entry.lease.fence);
        if (!leased.contains(key)) leased[key] = LoadLeased(tx, entry.lease);
        auto& candidates = leased[key];
        const auto found =
            std::find_if(candidates.begin(), candidates.end(), [&](const auto& candidate) {
                return candidate->row.email == entry.email &&
                       candidate->row.ordinal == entry.ordinal;
            });
        auto work = found != candidates.end() ? *found : std::make_shared<ClaimedRecipient>();
        work->lease = entry.lease;
        work->attempt = entry.attempt;
        work->transport = entry.transport;
        work->started_at = entry.started_at;
        if (found == candidates.end()) {
            // Taken over meanwhile: the result is only noted on its attempt.
            work->row.tenant = entry.tenant;
            work->row.email = entry.email;
            work->row.ordinal = entry.ordinal;
            Outcome stale;
            stale.work = work;
            stale.attempt = entry.result;
            outcomes.push_back(std::move(stale));
            continue;
        }
        outcomes.push_back(FromResult(work, entry.result));
    }
    std::vector<Outcome*> pointers;
    for (Outcome& outcome : outcomes) pointers.push_back(&outcome);
    recorder_.Apply(tx, pointers);
    tx.Commit();
    OPENSEND_LOG(
        kInfo, "delivery.journal_replayed", "outcomes kept on disk were stored",
        kv("count", static_cast<int64_t>(entries.size()))
    );
}

void Dispatcher::Finished(const ClaimedRecipient& work) {
    if (!work.transport.empty()) pacer_.Done(work.transport);
    fences_.With([&](auto& fences) {
        const auto found = fences.find(work.lease.fence);
        if (found != fences.end() && --found->second == 0) fences.erase(found);
    });
    --in_flight_;
}

void Dispatcher::Tend(runtime::StopToken& stop) {
    const auto third = std::chrono::duration_cast<std::chrono::milliseconds>(options_.lease / 3);
    const auto step = std::min<std::chrono::milliseconds>(kReapInterval, third);
    auto since_renewal = std::chrono::milliseconds(0);
    while (!stop.stopped()) {
        stop.SleepFor(step);
        since_renewal += step;
        try {
            if (since_renewal >= third) {
                RenewLeases();
                since_renewal = std::chrono::milliseconds(0);
            }
            ReplayJournal();
            Reap(false);
        } catch (const base::Error& error) {
            OPENSEND_LOG(
                kError, "delivery.tend_failed", "leases could not be tended",
                kv("detail", error.what())
            );
        }
    }
}

void Dispatcher::RenewLeases() {
    std::vector<int64_t> fences;
    fences_.With([&](const auto& map) {
        for (const auto& [fence, rows] : map) fences.push_back(fence);
    });
    if (fences.empty()) return;
    db::Transaction tx(deps_.pool, db::Plane::kDeliver, db::Scope::AllTenants());
    const base::Time until = deps_.clock.Now() + options_.lease;
    for (const int64_t fence : fences) queue::QueueStore::Renew(tx, {owner_, fence}, until);
    tx.Commit();
}

void Dispatcher::Reap(bool at_start) {
    const base::Time now = deps_.clock.Now();
    db::Transaction tx(deps_.pool, db::Plane::kDeliver, db::Scope::AllTenants());
    const auto lost = queue::QueueStore::Expired(
        tx, now, at_start ? owner_ : std::string(), at_start ? 1'000'000 : 1000
    );
    if (lost.empty()) return;
    std::vector<queue::QueueRow> again, unknown;
    for (queue::QueueRow row : lost) {
        runtime::Count(
            "opensend_leases_expired_total", {row.phase == Phase::kWire ? "wire" : "claimed"}
        );
        if (row.phase == Phase::kWire) {
            row.phase = Phase::kUnknown;
            row.due_at = now + options_.policy.unknown_wait;
            row.uncertain = true;
            unknown.push_back(row);
        } else {
            again.push_back(row);
        }
    }
    queue::QueueStore::Reclaim(tx, again, "ready");
    queue::QueueStore::Reclaim(tx, unknown, "unknown_outcome");
    MarkUnknown(tx, unknown, now, deps_.ids);
    tx.Commit();
    OPENSEND_LOG(
        kWarn, "delivery.leases_expired", "leases of lost workers were taken back",
        kv("queued", static_cast<int64_t>(again.size())),
        kv("unknown", static_cast<int64_t>(unknown.size()))
    );
}

}  // namespace opensend::delivery
