#include "kernel/api/idempotent.h"

#include "kernel/base/text.h"

namespace opensend::api {
namespace {

access::IdempotencyUse UseOf(const Call& call, std::string_view family) {
    std::string path;
    for (const auto& [name, value] : call.params) path += base::Cat(name, '=', value, ';');
    return {
        call.principal.tenant, std::string(family), *call.idempotency_key,
        access::Fingerprint(family, path, call.body())};
}

}  // namespace

http::Response Replayed(const access::StoredAnswer& stored) {
    http::Response response = Json(stored.status, stored.body);
    response.headers.Set("Idempotency-Replayed", "true");
    return response;
}

http::Response RunOnce(
    Call& call,
    db::Pool& pool,
    access::Idempotency& idempotency,
    std::string_view family,
    bool answer_holds_secret,
    const std::function<access::StoredAnswer(db::Transaction&)>& effect
) {
    db::Transaction tx(pool, db::Plane::kAccept, db::Scope(call.principal.tenant));
    if (!call.idempotency_key) {
        const access::StoredAnswer answer = effect(tx);
        tx.Commit();
        return Json(answer.status, answer.body);
    }
    const access::IdempotencyUse use = UseOf(call, family);
    if (const auto stored = idempotency.Find(tx, use, call.now)) return Replayed(*stored);
    const access::StoredAnswer answer = effect(tx);
    if (!idempotency.Store(tx, use, answer, answer_holds_secret, call.now)) {
        throw base::Error(
            base::ErrorCode::kConcurrentIdempotentRequests,
            "A request with this idempotency key is still running."
        )
            .WithRetryAfter(1);
    }
    tx.Commit();
    return Json(answer.status, answer.body);
}

std::optional<http::Response> FindReplay(
    const Call& call,
    db::Session& session,
    access::Idempotency& idempotency,
    std::string_view family
) {
    if (!call.idempotency_key) return std::nullopt;
    const auto stored = idempotency.Find(session, UseOf(call, family), call.now);
    return stored ? std::optional(Replayed(*stored)) : std::nullopt;
}

}  // namespace opensend::api
