#include "kernel/resources/domains/domain_status.h"

#include <algorithm>
#include <span>

namespace opensend::domains {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr const char* kLostReason = "held_by_another_organization";
constexpr hours kDaily{24};
constexpr hours kDailyWindow{4};
constexpr hours kAfterTemporary{1};
constexpr hours kEvery{6};
constexpr minutes kRunLadder[] = {minutes(1), minutes(5), minutes(15), minutes(60), minutes(360)};
constexpr minutes kFailingLadder[] = {
    minutes(15), minutes(60), minutes(180), minutes(360), minutes(720)};

/// The first step of the ladder after `now`; behind its end every six hours, up to the limit.
base::Time NextStep(base::Time start, std::span<const minutes> ladder, base::Time now) {
    for (const minutes step : ladder) {
        if (start + step > now) return start + step;
    }
    base::Time next = start + ladder.back();
    while (next <= now) next = next + kEvery;
    // Behind the limit only what no server could say is left to ask.
    return start + kGiveUpAfter > now ? std::min(next, start + kGiveUpAfter) : next;
}

/// One capability with the records it needs.
struct Group {
    bool& verified;
    std::optional<base::Time>& failing_since;
    bool wanted = false;
    bool right = true;
    bool wrong = false;
    bool lost = false;
    bool began_to_fail = false;
};

bool IsRunOver(const Domain& domain, base::Time now) {
    return domain.check_started_at && now >= *domain.check_started_at + kGiveUpAfter;
}

std::string RecordStatus(const DnsRecord& record, Finding finding, bool give_up) {
    switch (finding) {
        case Finding::kRight: return "verified";
        case Finding::kUnknown: return "temporary_failure";
        case Finding::kDifferent: return "failed";
        case Finding::kAbsent: break;
    }
    if (!record.required) return "not_started";
    return give_up ? "failed" : "pending";
}

const Observation* FindObservation(const std::vector<Observation>& seen, const DnsRecord& record) {
    for (const Observation& one : seen) {
        if (one.type == record.type && one.fqdn == record.fqdn) return &one;
    }
    return nullptr;
}

void Weigh(Group& group, bool needed, Finding finding) {
    if (!needed) return;
    group.wanted = true;
    group.right = group.right && finding == Finding::kRight;
    group.wrong = group.wrong || finding == Finding::kAbsent || finding == Finding::kDifferent;
}

void Decide(Group& group, base::Time now, bool keep) {
    if (!group.wanted) {
        // What was proven stays known for the day the capability comes back.
        group.failing_since.reset();
        return;
    }
    if (group.right) {
        group.verified = true;
        group.failing_since.reset();
        return;
    }
    if (!group.wrong || !group.verified || keep) return;
    if (!group.failing_since) {
        group.failing_since = now;
        group.began_to_fail = true;
    }
    if (now - *group.failing_since < kGiveUpAfter) return;
    group.verified = false;
    group.lost = true;
    group.failing_since.reset();
}

struct Wanted {
    bool sending = false, receiving = false;
};

Wanted WantedOf(const std::vector<DnsRecord>& plan) {
    Wanted wanted;
    for (const DnsRecord& record : plan) {
        wanted.sending = wanted.sending || record.for_sending;
        wanted.receiving = wanted.receiving || record.for_receiving;
    }
    return wanted;
}

std::string DeriveStatus(const Domain& domain, const Wanted& wanted, bool lost, base::Time now) {
    const bool sends = wanted.sending && domain.sending_verified;
    const bool receives = wanted.receiving && domain.receiving_verified;
    const bool all = (!wanted.sending || sends) && (!wanted.receiving || receives);
    if (all && (sends || receives)) return "verified";
    if (sends || receives) {
        return lost || domain.status == "partially_failed" ? "partially_failed"
                                                           : "partially_verified";
    }
    if (lost || domain.status == "failed" || IsRunOver(domain, now)) return "failed";
    return domain.check_started_at ? "pending" : "not_started";
}

std::optional<base::Time> NextCheck(
    const Domain& domain, bool any_temporary, const CheckFacts& facts
) {
    if (domain.status == "failed") return std::nullopt;
    std::optional<base::Time> failing = domain.sending_failing_since;
    if (domain.receiving_failing_since && (!failing || *domain.receiving_failing_since < *failing))
        failing = domain.receiving_failing_since;
    if (failing) return NextStep(*failing, kFailingLadder, facts.now);
    const bool unfinished = domain.status == "pending" || domain.status == "partially_verified";
    if (unfinished && domain.check_started_at && !IsRunOver(domain, facts.now)) {
        return NextStep(*domain.check_started_at, kRunLadder, facts.now);
    }
    if (any_temporary) return facts.now + kAfterTemporary;
    const auto window = std::chrono::duration_cast<base::Duration>(kDailyWindow);
    return facts.now + kDaily - window / 2 +
           base::Duration(static_cast<int64_t>(static_cast<double>(window.count()) * facts.spread));
}

void NoteStatus(Domain& domain, CheckEffect& effect, const std::string& status) {
    if (domain.status == status) return;
    effect.changed_fields.emplace_back("status");
    domain.status = status;
}

void SetReason(Domain& domain, CheckEffect& effect, std::optional<std::string> reason) {
    if (domain.status_reason == reason) return;
    effect.changed_fields.emplace_back("status_reason");
    domain.status_reason = std::move(reason);
}

/// Writes the record states; true when one of them differs from before.
bool StoreStates(
    Domain& domain,
    const std::vector<DnsRecord>& plan,
    const std::vector<Observation>& seen,
    base::Time now
) {
    bool changed = false;
    std::vector<RecordState> states;
    for (const DnsRecord& record : plan) {
        const Observation* one = FindObservation(seen, record);
        if (one == nullptr) {
            for (const RecordState& old : domain.record_states) {
                if (old.type == record.type && old.fqdn == record.fqdn) states.push_back(old);
            }
            continue;
        }
        const bool was_verified = (record.for_sending && domain.sending_verified) ||
                                  (record.for_receiving && domain.receiving_verified);
        const bool give_up = was_verified || IsRunOver(domain, now);
        RecordState state{
            record.type, record.fqdn, RecordStatus(record, one->finding, give_up), now, one->seen};
        changed = changed || state.status != record.status;
        states.push_back(std::move(state));
    }
    domain.record_states = std::move(states);
    return changed;
}

/// Facts that follow from single records rather than from groups.
void StoreRecordFacts(
    Domain& domain, const std::vector<DnsRecord>& plan, const std::vector<Observation>& seen
) {
    std::optional<Finding> ed25519;
    bool path_known = false;
    bool path_right = true;
    bool path_wrong = false;
    for (const DnsRecord& record : plan) {
        const Observation* one = FindObservation(seen, record);
        if (one == nullptr) continue;
        if (record.record == "DKIM" && !record.required) ed25519 = one->finding;
        if (record.record != "SPF") continue;
        path_known = true;
        path_right = path_right && one->finding == Finding::kRight;
        path_wrong =
            path_wrong || one->finding == Finding::kAbsent || one->finding == Finding::kDifferent;
    }
    // A server that cannot say changes neither.
    if (!ed25519) domain.ed25519_verified = false;
    if (ed25519 && *ed25519 != Finding::kUnknown) {
        domain.ed25519_verified = *ed25519 == Finding::kRight;
    }
    if (!path_known || path_wrong) domain.return_path_verified = false;
    if (path_known && path_right) domain.return_path_verified = true;
}

}  // namespace

CheckEffect ApplyCheck(
    Domain& domain,
    const RecordSources& sources,
    const std::vector<Observation>& seen,
    const CheckFacts& facts
) {
    CheckEffect effect;
    effect.previous_status = domain.status;
    const auto previous_reason = domain.status_reason;
    const bool was_sending = domain.sending_verified;
    const bool was_receiving = domain.receiving_verified;
    const auto plan = PlanRecords(domain, sources);
    if (!domain.check_started_at) domain.check_started_at = facts.now;
    domain.last_checked_at = facts.now;
    Group sending{domain.sending_verified, domain.sending_failing_since};
    Group receiving{domain.receiving_verified, domain.receiving_failing_since};
    bool temporary = false;
    for (const DnsRecord& record : plan) {
        const Observation* one = FindObservation(seen, record);
        const Finding finding = one == nullptr ? Finding::kUnknown : one->finding;
        temporary = temporary || (record.required && finding == Finding::kUnknown);
        Weigh(sending, record.for_sending, finding);
        Weigh(receiving, record.for_receiving, finding);
    }
    const bool records_changed = StoreStates(domain, plan, seen, facts.now);
    StoreRecordFacts(domain, plan, seen);
    Decide(sending, facts.now, domain.forced && facts.keep_forced);
    Decide(receiving, facts.now, false);
    if (facts.held_elsewhere && domain.is_held()) {
        LoseToHolder(domain);
        domain.last_checked_at = facts.now;
        // Whoever became the holder may have written it down already.
        if (effect.previous_status == domain.status && previous_reason == domain.status_reason) {
            return effect;
        }
        if (effect.previous_status != domain.status) effect.changed_fields.emplace_back("status");
        effect.changed_fields.emplace_back("status_reason");
        effect.audit_action = "domain.failed";
        return effect;
    }
    const bool lost = sending.lost || receiving.lost;
    if (lost && !sending.wanted) domain.sending_verified = false;
    if (lost && !receiving.wanted) domain.receiving_verified = false;
    const std::string status = DeriveStatus(domain, WantedOf(plan), lost, facts.now);
    NoteStatus(domain, effect, status);
    SetReason(domain, effect, std::nullopt);
    if (was_sending != domain.sending_verified)
        effect.changed_fields.emplace_back("sending_verified");
    if (was_receiving != domain.receiving_verified)
        effect.changed_fields.emplace_back("receiving_verified");
    const bool degraded = sending.began_to_fail || receiving.began_to_fail;
    if (records_changed && (degraded || !effect.changed_fields.empty()))
        effect.changed_fields.emplace_back("records");
    domain.next_check_at = NextCheck(domain, temporary, facts);
    if (status != effect.previous_status && status == "verified") {
        effect.audit_action = "domain.verified";
    } else if (lost || (status != effect.previous_status && status == "failed")) {
        effect.audit_action = "domain.failed";
    } else if (degraded) {
        effect.audit_action = "domain.degraded";
    }
    return effect;
}

void SettleAfterChange(Domain& domain, const RecordSources& sources, base::Time now) {
    const Wanted wanted = WantedOf(PlanRecords(domain, sources));
    if (!wanted.sending) domain.sending_failing_since.reset();
    if (!wanted.receiving) domain.receiving_failing_since.reset();
    domain.status = DeriveStatus(domain, wanted, false, now);
}

void AskForCheck(Domain& domain, base::Time now) {
    ++domain.check_wanted;
    domain.next_check_at = now;
    const bool begins = domain.status != "verified" && domain.status != "partially_failed";
    if (begins || !domain.check_started_at) domain.check_started_at = now;
    if (domain.status != "failed" && domain.status != "not_started") return;
    domain.status = "pending";
    domain.status_reason.reset();
}

void LoseToHolder(Domain& domain) {
    domain.sending_verified = false;
    domain.receiving_verified = false;
    domain.forced = false;
    domain.ed25519_verified = false;
    domain.return_path_verified = false;
    domain.sending_failing_since.reset();
    domain.receiving_failing_since.reset();
    domain.status = "failed";
    domain.status_reason = kLostReason;
    domain.next_check_at.reset();
}

}  // namespace opensend::domains
