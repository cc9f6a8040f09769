#include "kernel/queue/queue_store.h"

#include <algorithm>
#include <iterator>

#include "kernel/base/check.h"

namespace opensend::queue {
namespace {

constexpr int kTurn = 50;
constexpr int kTenantsAtOnce = 16;

constexpr db::Query kEnqueue{"queue.enqueue", R"sql(
    INSERT INTO queue (email_id, ordinal, org_id, lane, due_at, first_due_at, phase, tries, throttles,
                       claims, uncertain, reason, lease_owner, lease_fence, lease_until)
    VALUES ($1, $2, $3, $4, $5, $6, 1, 0, 0, 0, 0, 'ready', '', 0, 0))sql"};

constexpr db::Query kNextFence{"queue.next_fence", R"sql(
    UPDATE counters SET value = value + 1 WHERE name = 'lease_fence' RETURNING value)sql"};

constexpr db::Query kClaim{"queue.claim", R"sql(
    UPDATE queue SET lease_owner = $1, lease_fence = $2, lease_until = $3, claims = claims + 1
     WHERE (email_id, ordinal) IN (
           SELECT email_id, ordinal FROM queue
            WHERE lane = $4 AND org_id = $5 AND due_at <= $6 AND lease_until = 0 AND phase <> 5
            ORDER BY due_at LIMIT $7 {skip_locked})
 RETURNING email_id, ordinal, org_id, lane, due_at, first_due_at, phase, tries, throttles, claims,
           uncertain, lease_fence, routes)sql"};

constexpr db::Query kAnyDue{"queue.any_due", R"sql(
    SELECT 1 FROM queue WHERE lane = $1 AND due_at <= $2 AND lease_until = 0 AND phase <> 5
     LIMIT 1)sql"};

// Walks from tenant to tenant along the index, so that the rows of one are never counted.
constexpr db::Query kDueTenants{"queue.due_tenants", R"sql(
    WITH RECURSIVE walk (org_id) AS (
        SELECT MIN(org_id) FROM queue
         WHERE lane = $1 AND org_id > $2 AND lease_until = 0 AND phase <> 5
        UNION ALL
        SELECT (SELECT MIN(q.org_id) FROM queue q
                 WHERE q.lane = $1 AND q.org_id > walk.org_id AND q.lease_until = 0
                   AND q.phase <> 5)
          FROM walk WHERE walk.org_id IS NOT NULL)
    SELECT org_id FROM walk
     WHERE org_id IS NOT NULL AND EXISTS (
           SELECT 1 FROM queue d WHERE d.lane = $1 AND d.org_id = walk.org_id
              AND d.due_at <= $3 AND d.lease_until = 0 AND d.phase <> 5)
     LIMIT $4)sql"};

constexpr db::Query kStillMine{"queue.still_mine", R"sql(
    SELECT email_id, ordinal, org_id, lane, due_at, first_due_at, phase, tries, throttles, claims,
           uncertain, lease_fence, routes
      FROM queue WHERE lease_owner = $1 AND lease_fence = $2 AND lease_until > 0 {for_update})sql"};

constexpr db::Query kRenew{"queue.renew", R"sql(
    UPDATE queue SET lease_until = $1
     WHERE lease_owner = $2 AND lease_fence = $3 AND lease_until > 0)sql"};

constexpr db::Query kEnterWire{"queue.enter_wire", R"sql(
    UPDATE queue SET phase = 3, claims = 0
     WHERE email_id = $1 AND ordinal = $2 AND lease_owner = $3 AND lease_fence = $4)sql"};

constexpr db::Query kRelease{"queue.release", R"sql(
    UPDATE queue SET phase = $1, due_at = $2, tries = $3, throttles = $4, claims = $5, uncertain = $6,
           reason = $7, routes = $8, lease_owner = '', lease_until = 0
     WHERE email_id = $9 AND ordinal = $10 AND lease_owner = $11 AND lease_fence = $12)sql"};

constexpr db::Query kFinish{"queue.finish", R"sql(
    DELETE FROM queue
     WHERE email_id = $1 AND ordinal = $2 AND lease_owner = $3 AND lease_fence = $4)sql"};

constexpr db::Query kExpired{"queue.expired", R"sql(
    SELECT email_id, ordinal, org_id, lane, due_at, first_due_at, phase, tries, throttles, claims,
           uncertain, lease_fence, routes
      FROM queue WHERE lease_until > 0 AND (lease_until <= $1 OR (lease_owner <> $2 AND $2 <> ''))
     LIMIT $3)sql"};

constexpr db::Query kReclaim{"queue.reclaim", R"sql(
    UPDATE queue SET phase = $1, due_at = $2, tries = $3, throttles = $4, claims = $5, uncertain = $6,
           reason = $7, lease_owner = '', lease_until = 0
     WHERE email_id = $8 AND ordinal = $9 AND lease_fence = $10 AND lease_until > 0)sql"};

constexpr db::Query kLockAll{"queue.lock_all", R"sql(
    SELECT ordinal, phase, lease_until FROM queue WHERE org_id = $1 AND email_id = $2
     ORDER BY ordinal {for_update})sql"};
constexpr db::Query kWithdraw{"queue.withdraw", R"sql(
    DELETE FROM queue
     WHERE org_id = $1 AND email_id = $2 AND ordinal = $3 AND lease_until = 0)sql"};
constexpr db::Query kPostpone{"queue.postpone", R"sql(
    UPDATE queue SET due_at = $1, first_due_at = $1
     WHERE org_id = $2 AND email_id = $3 AND lease_until = 0)sql"};

constexpr db::Query kCountAll{"queue.count_all", "SELECT COUNT(*) FROM queue"};

std::vector<QueueRow> ReadRows(const db::Rows& rows) {
    std::vector<QueueRow> out;
    out.reserve(rows.size());
    for (const db::Row& row : rows) {
        QueueRow item;
        item.email = row.Id<model::EmailId>(0);
        item.ordinal = row.Int(1);
        item.tenant = row.Id<model::TenantId>(2);
        item.lane = static_cast<Lane>(row.Int(3));
        item.due_at = row.Time(4);
        item.first_due_at = row.Time(5);
        item.phase = static_cast<Phase>(row.Int(6));
        item.tries = row.Int(7);
        item.throttles = row.Int(8);
        item.claims = row.Int(9);
        item.uncertain = row.Bool(10);
        item.fence = row.Int(11);
        item.routes = row.Text(12);
        out.push_back(item);
    }
    return out;
}

base::Duration Jitter(std::chrono::seconds delay, double random01) {
    const auto us = static_cast<double>(std::chrono::microseconds(delay).count());
    return base::Duration(static_cast<int64_t>(us * (0.9 + 0.2 * random01)));
}

/// The next tenants after `turn` with something due, beginning anew behind the last one.
std::vector<std::string> DueTenants(
    db::Session& tx, int lane, const std::string& turn, base::Time now
) {
    std::vector<std::string> tenants;
    for (const db::Row& row : tx.Execute(kDueTenants, {lane, turn, now, kTenantsAtOnce})) {
        tenants.push_back(row.Text(0));
    }
    if (turn.empty() || static_cast<int>(tenants.size()) == kTenantsAtOnce) return tenants;
    for (const db::Row& row :
         tx.Execute(kDueTenants, {lane, "", now, kTenantsAtOnce - std::ssize(tenants)})) {
        if (row.Text(0) > turn) break;
        tenants.push_back(row.Text(0));
    }
    return tenants;
}

}  // namespace

void QueueStore::Enqueue(db::Session& tx, const std::vector<QueueRow>& rows) {
    std::vector<db::Params> each;
    each.reserve(rows.size());
    for (const QueueRow& row : rows) {
        each.push_back(
            {row.email, row.ordinal, row.tenant, static_cast<int>(row.lane), row.due_at,
             row.first_due_at}
        );
    }
    tx.ChangeEach(kEnqueue, each);
}

std::vector<QueueRow> QueueStore::Claim(
    db::Session& tx,
    Lane lane,
    const std::string& owner,
    base::Time now,
    base::Time until,
    int limit,
    std::string& turn
) {
    OPENSEND_CHECK(until > now, "a lease ends in the future");
    const int lane_number = static_cast<int>(lane);
    if (!tx.First(kAnyDue, {lane_number, now})) return {};
    const std::vector<std::string> tenants = DueTenants(tx, lane_number, turn, now);
    if (tenants.empty()) return {};
    const auto fence = tx.First(kNextFence, {});
    OPENSEND_CHECK(fence.has_value(), "the fence counter exists");
    std::vector<QueueRow> claimed;
    const auto left = [&] { return limit - static_cast<int>(claimed.size()); };
    const auto take = [&](const std::string& tenant) {
        const int wanted = std::min(left(), kTurn);
        auto rows = ReadRows(
            tx.Execute(kClaim, {owner, fence->Int(0), until, lane_number, tenant, now, wanted})
        );
        const bool more = static_cast<int>(rows.size()) == wanted;
        claimed.insert(
            claimed.end(), std::make_move_iterator(rows.begin()),
            std::make_move_iterator(rows.end())
        );
        turn = tenant;
        return more;
    };
    for (const std::string& tenant : tenants) {
        if (left() <= 0) break;
        bool more = take(tenant);
        // Nobody else waits for a turn.
        while (more && left() > 0 && tenants.size() == 1) more = take(tenant);
    }
    return claimed;
}

std::vector<QueueRow> QueueStore::StillMine(db::Session& tx, const Lease& lease) {
    return ReadRows(tx.Execute(kStillMine, {lease.owner, lease.fence}));
}

void QueueStore::Renew(db::Session& tx, const Lease& lease, base::Time until) {
    tx.Change(kRenew, {until, lease.owner, lease.fence});
}

void QueueStore::EnterWire(db::Session& tx, const Lease& lease, const std::vector<QueueRow>& rows) {
    std::vector<db::Params> each;
    for (const QueueRow& row : rows) {
        each.push_back({row.email, row.ordinal, lease.owner, lease.fence});
    }
    tx.ChangeEach(kEnterWire, each);
}

void QueueStore::Release(
    db::Session& tx,
    const Lease& lease,
    const std::vector<QueueRow>& rows,
    const std::string& reason
) {
    std::vector<db::Params> each;
    for (const QueueRow& row : rows) {
        each.push_back(
            {static_cast<int>(row.phase), row.due_at, row.tries, row.throttles, row.claims,
             row.uncertain, reason, row.routes, row.email, row.ordinal, lease.owner, lease.fence}
        );
    }
    tx.ChangeEach(kRelease, each);
}

void QueueStore::Finish(db::Session& tx, const Lease& lease, const std::vector<QueueRow>& rows) {
    std::vector<db::Params> each;
    for (const QueueRow& row : rows) {
        each.push_back({row.email, row.ordinal, lease.owner, lease.fence});
    }
    tx.ChangeEach(kFinish, each);
}

std::vector<QueueRow> QueueStore::Expired(
    db::Session& tx, base::Time now, const std::string& other_than, int limit
) {
    return ReadRows(tx.Execute(kExpired, {now, other_than, limit}));
}

void QueueStore::Reclaim(
    db::Session& tx, const std::vector<QueueRow>& rows, const std::string& reason
) {
    std::vector<db::Params> each;
    for (const QueueRow& row : rows) {
        each.push_back(
            {static_cast<int>(row.phase), row.due_at, row.tries, row.throttles, row.claims,
             row.uncertain, reason, row.email, row.ordinal, row.fence}
        );
    }
    tx.ChangeEach(kReclaim, each);
}

std::vector<QueueStore::Pending> QueueStore::LockAll(
    db::Session& tx, const model::TenantId& tenant, const model::EmailId& email
) {
    std::vector<Pending> out;
    for (const db::Row& row : tx.Execute(kLockAll, {tenant, email})) {
        out.push_back({row.Int(0), static_cast<Phase>(row.Int(1)), row.Int(2) > 0});
    }
    return out;
}

void QueueStore::Withdraw(
    db::Session& tx,
    const model::TenantId& tenant,
    const model::EmailId& email,
    const std::vector<int64_t>& ordinals
) {
    std::vector<db::Params> each;
    for (const int64_t ordinal : ordinals) each.push_back({tenant, email, ordinal});
    if (!each.empty()) tx.ChangeEach(kWithdraw, each);
}

void QueueStore::Postpone(
    db::Session& tx, const model::TenantId& tenant, const model::EmailId& email, base::Time due
) {
    tx.Change(kPostpone, {due, tenant, email});
}

int64_t QueueStore::CountAll(db::Session& session) { return session.First(kCountAll, {})->Int(0); }

base::Duration RetryDelay(int64_t tries, double random01) {
    using std::chrono::hours;
    using std::chrono::minutes;
    using std::chrono::seconds;
    constexpr seconds kLadder[] = {seconds(15), minutes(1), minutes(5), minutes(15), minutes(30),
                                   hours(1),    hours(2),   hours(4),   hours(6)};
    const auto step = std::clamp<int64_t>(tries, 1, std::ssize(kLadder)) - 1;
    return Jitter(kLadder[step], random01);
}

base::Duration ThrottleDelay(int64_t throttles, double random01) {
    const auto shift = std::clamp<int64_t>(throttles, 0, 6);
    return Jitter(std::min(std::chrono::seconds(5 << shift), std::chrono::seconds(300)), random01);
}

}  // namespace opensend::queue
