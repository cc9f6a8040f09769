#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::queue {

/// Sub-phases of a claimed row (platform.md 9.3), and what waits.
enum class Phase {
    kWaiting = 1,  // due at due_at
    kClaimed,      // a worker looks at it; nothing left the building
    kWire,         // the transport may have begun
    kUnknown,      // handed over with unknown outcome; due_at ends the wait for evidence
    kHeld,         // waits for a person; due_at is ignored
};

enum class Lane { kSystem = 1, kTransactional, kBulk };

/// One recipient that waits or is worked on: the narrow row.
struct QueueRow {
    model::EmailId email;
    int64_t ordinal = 0;
    model::TenantId tenant;
    Lane lane = Lane::kTransactional;
    base::Time due_at, first_due_at;
    Phase phase = Phase::kWaiting;
    int64_t tries = 0;       // counted attempts
    int64_t throttles = 0;   // throttle answers since the last other one
    int64_t claims = 0;      // claims that never reached the wire
    bool uncertain = false;  // an earlier attempt may have been taken
    int64_t fence = 0;
    std::string routes;  // what it remembers of transports; see delivery::RouteMemory
};

/// A lease: who holds it and the number that later leases exceed (SEND-15).
struct Lease {
    std::string owner;  // 32 hex digits per process start
    int64_t fence = 0;
};

/// Everything that is not finished. Calls run in the caller's transaction.
class QueueStore {
public:
    /// Rows for new recipients; visible to workers when the transaction commits.
    static void Enqueue(db::Session& tx, const std::vector<QueueRow>& rows);
    /// At most `limit` due rows of a lane, leased until `until` under one new fence: waiting rows
    /// and unknown ones whose wait ended. Tenants take turns of at most 50 rows, oldest due first;
    /// `turn` is the tenant whose turn was last and moves on (SEND-19). The cost does not grow with
    /// what waits.
    static std::vector<QueueRow> Claim(
        db::Session& tx,
        Lane lane,
        const std::string& owner,
        base::Time now,
        base::Time until,
        int limit,
        std::string& turn
    );
    /// Rows of this fence that are still ours, by (email, ordinal). Others were taken over.
    static std::vector<QueueRow> StillMine(db::Session& tx, const Lease& lease);
    static void Renew(db::Session& tx, const Lease& lease, base::Time until);
    /// Claimed → wire for rows that are about to be handed over.
    static void EnterWire(db::Session& tx, const Lease& lease, const std::vector<QueueRow>& rows);
    /// Back to waiting (or unknown, held) with the row's due_at, tries, throttles, claims,
    /// uncertain.
    static void Release(
        db::Session& tx,
        const Lease& lease,
        const std::vector<QueueRow>& rows,
        const std::string& reason
    );
    static void Finish(db::Session& tx, const Lease& lease, const std::vector<QueueRow>& rows);
    /// Rows whose lease ended before `now`, or (with `other_than`) any lease of another owner: the
    /// only process of an SQLite database calls this at start. Not changed by the call.
    static std::vector<QueueRow> Expired(
        db::Session& tx, base::Time now, const std::string& other_than, int limit
    );
    /// Like Release, for rows found by Expired: only when the lease is still the one seen.
    static void Reclaim(
        db::Session& tx, const std::vector<QueueRow>& rows, const std::string& reason
    );
    /// A row of a message that is not finished, held until the transaction ends.
    struct Pending {
        int64_t ordinal = 0;
        Phase phase = Phase::kWaiting;
        bool leased = false;
    };
    /// Locks every unfinished row of a message: no worker claims one before the transaction ends.
    static std::vector<Pending> LockAll(
        db::Session& tx, const model::TenantId& tenant, const model::EmailId& email
    );
    /// Takes rows of a message out of the queue that no worker holds.
    static void Withdraw(
        db::Session& tx,
        const model::TenantId& tenant,
        const model::EmailId& email,
        const std::vector<int64_t>& ordinals
    );
    /// Another due time for all rows of a message that no worker holds.
    static void Postpone(
        db::Session& tx, const model::TenantId& tenant, const model::EmailId& email, base::Time due
    );
    /// Waiting rows due before `now`, for metrics and tests.
    static int64_t CountAll(db::Session& session);
};

/// Delay after counted attempt `tries` (SEND-20), with ±10 % jitter from `random01`.
base::Duration RetryDelay(int64_t tries, double random01);
/// 5 s × 2^k, at most 5 min.
base::Duration ThrottleDelay(int64_t throttles, double random01);

}  // namespace opensend::queue
