#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/clock.h"
#include "kernel/base/random.h"
#include "kernel/crypto/keyring.h"
#include "kernel/db/session.h"
#include "kernel/json/value.h"
#include "kernel/model/ids.h"

namespace opensend::access {

/// An answer that was given under an idempotency key.
struct StoredAnswer {
    int status = 200;
    std::string body;
};

/// Names one use of a key: tenant, route family, key and what was asked (REST 1.11).
struct IdempotencyUse {
    model::TenantId tenant;
    std::string family;  // "emails", "emails.batch", …
    std::string key;
    std::string fingerprint;  // hex SHA-256
};
/// Fingerprint over family, path parameters or mode, and the canonical body.
std::string Fingerprint(std::string_view family, std::string_view mode, const json::Value& body);

/// Answers by idempotency key. The record is written in the transaction of the effect, so that
/// there is no effect without a record and no record without its effect; whoever comes second
/// replays.
class Idempotency {
public:
    Idempotency(const crypto::Keyring& keyring, base::Random& random)
        : keyring_(keyring), random_(random) {}

    /// The stored answer of the last 24 h. Throws 409 when the key was used for another request.
    std::optional<StoredAnswer> Find(
        db::Session& session, const IdempotencyUse& use, base::Time now
    );
    /// False when the key is taken: the transaction must have no effect; ask Find.
    bool Store(
        db::Session& tx,
        const IdempotencyUse& use,
        const StoredAnswer& answer,
        bool holds_secret,
        base::Time now
    );

private:
    const crypto::Keyring& keyring_;
    base::Random& random_;
};

}  // namespace opensend::access
