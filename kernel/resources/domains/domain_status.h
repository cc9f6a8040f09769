#pragma once

#include <string>
#include <vector>

#include "kernel/resources/domains/dns_plan.h"

namespace opensend::domains {

/// What one look at DNS says about a record.
enum class Finding {
    kRight = 1,
    kAbsent,     // the name is known to lack it
    kDifferent,  // something else stands there
    kUnknown,    // no server could say
};

struct Observation {
    std::string type, fqdn;
    Finding finding = Finding::kUnknown;
    std::vector<std::string> seen;
};

/// How long something may be wrong before it counts (DOM-20, DOM-21).
inline constexpr std::chrono::hours kGiveUpAfter{72};

struct CheckFacts {
    base::Time now;
    bool keep_forced = false;     // an operator's word is not undone (evaluation mode)
    double spread = 0.5;          // 0…1: where in its window the daily check lies
    bool held_elsewhere = false;  // another tenant holds the name verified
};

/// What a check changed, for the event and the audit log.
struct CheckEffect {
    std::string previous_status;
    std::vector<std::string> changed_fields;  // of the domain object; empty: nothing
    std::string audit_action;                 // "domain.verified", …; empty: none
};

/// The status machine of REST 2.6 and platform.md 11.3: applies what was seen to the row, sets its
/// status and the time of the next check. A record without observation stays as it is.
CheckEffect ApplyCheck(
    Domain& domain,
    const RecordSources& sources,
    const std::vector<Observation>& seen,
    const CheckFacts& facts
);

/// Status and next check after settings changed, from what is known already.
void SettleAfterChange(Domain& domain, const RecordSources& sources, base::Time now);

/// A check is wanted now: a run that ended, or never began, begins.
void AskForCheck(Domain& domain, base::Time now);

/// The name belongs to somebody else from now on: nothing of the row is verified any more.
void LoseToHolder(Domain& domain);

}  // namespace opensend::domains
