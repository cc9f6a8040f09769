#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/clock.h"
#include "kernel/base/guarded.h"
#include "kernel/base/random.h"
#include "kernel/base/secret.h"
#include "kernel/crypto/keyring.h"
#include "kernel/db/pool.h"

namespace opensend::access {

/// Keys that the instance makes for itself: peppers, file links, return paths, … (platform.md 5.4).
/// Sealed in the database under the master key. Thread-safe after Open.
class InstanceKeys {
public:
    InstanceKeys(db::Pool& pool, const crypto::Keyring& keyring) : pool_(pool), keyring_(keyring) {}

    /// Creates what is missing, reads all, and proves the master key with the canary. Throws
    /// base::Error kUnauthorized with detail when the master key does not match this database.
    void Open(base::Random& random, base::Time now);

    struct Key {
        uint32_t kid = 0;
        std::string bytes;
    };
    /// The key that makes new tokens.
    const Key& Active(std::string_view purpose) const;
    /// Null: no such key.
    const Key* Find(std::string_view purpose, uint32_t kid) const;

private:
    db::Pool& pool_;
    const crypto::Keyring& keyring_;
    std::map<std::string, std::map<uint32_t, Key>, std::less<>> keys_;  // constant after Open
    std::map<std::string, uint32_t, std::less<>> active_;
};

}  // namespace opensend::access
