#include "kernel/access/rate_watch.h"

#include <algorithm>

#include "kernel/base/error.h"
#include "kernel/db/transaction.h"
#include "kernel/runtime/log.h"

namespace opensend::access {
namespace {

constexpr std::chrono::milliseconds kWatchInterval{250};
constexpr std::chrono::milliseconds kLongestProbePause{5'000};
constexpr std::chrono::minutes kAlarmInterval{1};
constexpr size_t kMaxDueAudits = 10'000;
constexpr const char* kStoreFailed = "rate_limit.store_failed";
constexpr const char* kStoreRecovered = "rate_limit.recovered";

}  // namespace

RateWatch::RateWatch(
    RateGate& gate, db::Pool& pool, base::UuidSource& ids, const base::Clock& clock
)
    : gate_(gate),
      pool_(pool),
      ids_(ids),
      clock_(clock),
      periodic_("rate-watch", kWatchInterval, [this] { Run(); }) {}

void RateWatch::Run() {
    using State = RateOutage::State;
    const base::MonoTime now = clock_.Mono();
    if (gate_.outage().state() != State::kWell && now >= probe_at_) {
        const bool is_good = gate_.Probe();
        // A store that stays away is asked less and less often.
        pause_ =
            is_good ? kWatchInterval : std::min(pause_ * 2 + kWatchInterval, kLongestProbePause);
        probe_at_ = now + pause_;
    }
    Say(gate_.outage().Take());
    if (!audits_.empty()) WriteAudits();
}

void RateWatch::Say(const RateOutage::News& news) {
    const base::MonoTime now = clock_.Mono();
    unanswered_ += news.unanswered;
    if (unanswered_ > 0 && (news.began || now >= say_at_)) {
        OPENSEND_LOG(
            kError, "ratelimit.store_failed",
            "the rate limiter's store does not answer; ratelimit.on_store_failure holds",
            kv("requests", static_cast<int64_t>(unanswered_))
        );
        unanswered_ = 0;
        say_at_ = now + kAlarmInterval;
    }
    const auto add = [&](const std::vector<model::TenantId>& tenants, const char* action) {
        for (const model::TenantId& tenant : tenants) {
            if (audits_.size() < kMaxDueAudits) audits_.push_back({tenant, action, clock_.Now()});
        }
    };
    add(news.failed, kStoreFailed);
    add(news.recovered, kStoreRecovered);
    if (!news.ended) return;
    unanswered_ = 0;
    pause_ = std::chrono::milliseconds(0);
    OPENSEND_LOG(kWarn, "ratelimit.recovered", "the rate limiter's store answers again");
}

void RateWatch::WriteAudits() {
    size_t done = 0;
    for (; done < audits_.size(); ++done) {
        const Due& due = audits_[done];
        AuditEntry entry;
        entry.tenant = due.tenant;
        entry.action = due.action;
        entry.target_type = "organization";
        entry.target_id = due.tenant.ToString();
        entry.time = due.time;
        try {
            db::Transaction tx(pool_, db::Plane::kDashboard, db::Scope::AllTenants());
            Audit(tx, ids_, entry);
            tx.Commit();
        } catch (const base::Error& error) {
            // Another time. What cannot be written for another reason is left out.
            if (error.code() == base::ErrorCode::kUnavailable) break;
            OPENSEND_LOG(
                kError, "ratelimit.audit_failed", "an audit entry could not be written",
                kv("detail", error.what())
            );
        }
    }
    audits_.erase(audits_.begin(), audits_.begin() + static_cast<std::ptrdiff_t>(done));
}

}  // namespace opensend::access
