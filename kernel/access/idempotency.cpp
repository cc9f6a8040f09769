#include "kernel/access/idempotency.h"

#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"

namespace opensend::access {
namespace {

constexpr db::Query kFindAnswer{"idempotency.find", R"sql(
    SELECT fingerprint, status, response, sealed FROM idempotency_records
     WHERE org_id = $1 AND family = $2 AND idempotency_key = $3 AND created_at > $4)sql"};
constexpr db::Query kForgetAnswer{"idempotency.forget", R"sql(
    DELETE FROM idempotency_records
     WHERE org_id = $1 AND family = $2 AND idempotency_key = $3 AND created_at <= $4)sql"};
constexpr db::Query kStoreAnswer{"idempotency.store", R"sql(
    INSERT INTO idempotency_records
           (org_id, family, idempotency_key, fingerprint, status, response, sealed, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (org_id, family, idempotency_key) DO NOTHING)sql"};

constexpr std::chrono::hours kWindow{24};

std::string RecordRow(const IdempotencyUse& use) { return base::Cat(use.family, ':', use.key); }

}  // namespace

std::string Fingerprint(std::string_view family, std::string_view mode, const json::Value& body) {
    crypto::Sha256Stream hash;
    hash.Update(family).Update("\n").Update(mode).Update("\n");
    hash.Update(body.IsMissing() ? std::string("{}") : json::Canonical(body));
    return base::HexEncode(hash.Finish());
}

std::optional<StoredAnswer> Idempotency::Find(
    db::Session& session, const IdempotencyUse& use, base::Time now
) {
    const auto row = session.First(kFindAnswer, {use.tenant, use.family, use.key, now - kWindow});
    if (!row) return std::nullopt;
    if (row->Text(0) != use.fingerprint) {
        throw base::Error(
            base::ErrorCode::kInvalidIdempotentRequest,
            "This idempotency key was used with a different request."
        );
    }
    StoredAnswer answer{static_cast<int>(row->Int(1)), row->Text(2)};
    if (row->Bool(3)) {
        const std::string tenant = use.tenant.ToString();
        const std::string place = RecordRow(use);
        auto opened =
            keyring_.Open({"idempotency_records", "response", tenant, place}, answer.body);
        if (!opened.ok()) throw base::Unavailable("encryption_unavailable", opened.error());
        answer.body = std::string(opened->Reveal());
    }
    return answer;
}

bool Idempotency::Store(
    db::Session& tx,
    const IdempotencyUse& use,
    const StoredAnswer& answer,
    bool holds_secret,
    base::Time now
) {
    tx.Change(kForgetAnswer, {use.tenant, use.family, use.key, now - kWindow});
    std::string body = answer.body;
    if (holds_secret) {
        const std::string tenant = use.tenant.ToString();
        const std::string place = RecordRow(use);
        body = keyring_.Seal(
            {"idempotency_records", "response", tenant, place}, base::Secret(std::move(body)),
            random_
        );
    }
    return tx.Change(
               kStoreAnswer, {use.tenant, use.family, use.key, use.fingerprint, answer.status, body,
                              holds_secret, now}
           ) == 1;
}

}  // namespace opensend::access
