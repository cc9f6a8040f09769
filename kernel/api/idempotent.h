#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/access/idempotency.h"
#include "kernel/api/call.h"
#include "kernel/db/pool.h"
#include "kernel/db/transaction.h"

namespace opensend::api {

/// The answer of an earlier use, with Idempotency-Replayed.
http::Response Replayed(const access::StoredAnswer& stored);

/// Runs `effect` in one transaction and commits it together with its answer under the call's
/// idempotency key, or replays what an earlier request got (REST 1.11). Without a key it only runs
/// the transaction. `effect` returns status and body; what it throws rolls everything back.
http::Response RunOnce(
    Call& call,
    db::Pool& pool,
    access::Idempotency& idempotency,
    std::string_view family,
    bool answer_holds_secret,
    const std::function<access::StoredAnswer(db::Transaction&)>& effect
);

/// For effects that take several steps: the answer of an earlier use of the call's key, if any. The
/// last step stores its answer with RunOnce.
std::optional<http::Response> FindReplay(
    const Call& call,
    db::Session& session,
    access::Idempotency& idempotency,
    std::string_view family
);

}  // namespace opensend::api
