#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "kernel/base/uuid.h"
#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::webhooks {

/// Events that an endpoint is to get (again), made into deliveries batch by batch. `range` takes
/// what went to it before, by the state of its newest delivery; `backfill` what it never got.
struct ReplayJob {
    base::Uuid id;
    model::TenantId tenant;
    model::WebhookId webhook;
    enum class Kind { kRange = 1, kBackfill } kind = Kind::kRange;
    base::Time since, until{std::numeric_limits<int64_t>::max()};
    int64_t after_sequence = 0;  // backfill: those above it
    std::string types;           // ",email.sent,email.bounced,"; empty: all
    std::string statuses;        // ",failed,"
    int64_t remaining = 0;
    std::string last_event;  // range: those above it
};

class ReplayStore {
public:
    /// How many events it takes now, at most `remaining` of them.
    static int64_t Count(db::Session& session, const ReplayJob& job);
    static void Add(db::Session& tx, const ReplayJob& job);
    /// The oldest job, held until the transaction ends.
    static std::optional<ReplayJob> Take(db::Session& tx);
    /// The next events of the job, oldest first; moves its position.
    static std::vector<model::EventId> Next(db::Session& session, ReplayJob& job, int64_t limit);
    static void Save(db::Session& tx, const ReplayJob& job);
    static void Remove(db::Session& tx, const ReplayJob& job);
};

}  // namespace opensend::webhooks
