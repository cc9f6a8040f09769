#include "kernel/workers/domains/domain_verifier.h"

#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/db/transaction.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/pulse.h"

namespace opensend::domain_checks {
namespace {

constexpr size_t kChecksAtOnce = 8;
constexpr std::chrono::milliseconds kPollDue{500};
constexpr std::chrono::seconds kCheckLease{60};

}  // namespace

DomainVerifier::DomainVerifier(
    db::Pool& pool, base::Random& random, const base::Clock& clock, DomainChecker& checker
)
    : pool_(pool),
      clock_(clock),
      checker_(checker),
      owner_(base::HexEncode(random.String(16))),
      checks_(std::make_unique<runtime::WorkerPool>("domain-checks", kChecksAtOnce, kChecksAtOnce)
      ) {
    claimer_ = std::make_unique<runtime::Worker>(
        "domain-verifier", [this](runtime::StopToken& stop) { Run(stop); }
    );
}

DomainVerifier::~DomainVerifier() {
    claimer_.reset();
    checks_.reset();
}

void DomainVerifier::Run(runtime::StopToken& stop) {
    while (!stop.stopped()) {
        runtime::Beat("domains", kPollDue, clock_.Now());
        size_t taken = 0;
        try {
            taken = TakeDue();
        } catch (const base::Error& error) {
            OPENSEND_LOG(
                kError, "domain.claim_failed", "due domains could not be taken",
                kv("detail", error.what())
            );
        }
        if (taken == 0) stop.SleepFor(kPollDue);
    }
}

size_t DomainVerifier::TakeDue() {
    const size_t running = running_.load();
    if (running >= kChecksAtOnce) return 0;
    const auto room = static_cast<int>(kChecksAtOnce - running);
    const base::Time now = clock_.Now();
    std::vector<domains::DomainLease> due;
    std::vector<domains::ClaimLease> claims;
    {
        db::Transaction tx(pool_, db::Plane::kEvents, db::Scope::AllTenants());
        due = domains::DomainCheckStore::Claim(tx, owner_, now, now + kCheckLease, room);
        const int left = room - static_cast<int>(due.size());
        if (left > 0) {
            claims = domains::ClaimStore::TakeDue(tx, owner_, now, now + kCheckLease, left);
        }
        if (due.empty() && claims.empty()) return 0;
        tx.Commit();
    }
    for (auto& lease : due) {
        Start([this, lease = std::move(lease)] { checker_.CheckDomain(lease); });
    }
    for (auto& lease : claims) {
        Start([this, lease = std::move(lease)] { checker_.CheckClaim(lease); });
    }
    return due.size() + claims.size();
}

void DomainVerifier::Start(std::function<void()> check) {
    ++running_;
    const bool taken = checks_->Run([this, check = std::move(check)] {
        try {
            check();
        } catch (const base::Error& error) {
            OPENSEND_LOG(
                kError, "domain.check_failed", "a check of a domain could not be recorded",
                kv("detail", error.what())
            );
        }
        --running_;
    });
    // Its lease ends and it is due again.
    if (!taken) --running_;
}

}  // namespace opensend::domain_checks
