#include "kernel/api/idempotent.h"

#include "kernel/base/text.h"

namespace opensend::api {

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
    std::string path;
    for (const auto& [name, value] : call.params) path += base::Cat(name, '=', value, ';');
    const access::IdempotencyUse use{
        call.principal.tenant, std::string(family), *call.idempotency_key,
        access::Fingerprint(family, path, call.body())};
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

}  // namespace opensend::api
