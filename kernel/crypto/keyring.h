#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/random.h"
#include "kernel/base/result.h"
#include "kernel/base/secret.h"

namespace opensend::crypto {

/// Where a sealed value lives; it opens nowhere else (platform.md 5.2).
struct SealedPlace {
    std::string_view table, column, org, row;
};

/// The ring of master keys: the first writes and reads, the others only read (ENC-03…06).
class Keyring {
public:
    /// Each text per ENC-03 (hex, base64 or passphrase). Failure: why a text is refused or two kids
    /// collide.
    static base::Result<Keyring, std::string> Make(
        const base::Secret& writing, const std::vector<base::Secret>& reading
    );

    /// Text "ose1.…".
    std::string Seal(const SealedPlace& place, const base::Secret& plain, base::Random& random)
        const;
    /// Failure: "unknown key id 4548769f", "not an envelope", "does not open here".
    base::Result<base::Secret, std::string> Open(const SealedPlace& place, std::string_view sealed)
        const;

    /// First four bytes of the key id of the writing key, as eight hex digits.
    std::string writing_kid() const;
    /// Key id inside an envelope text; empty when it is none.
    static std::string KidOf(std::string_view sealed);

private:
    struct Key {
        std::string kid;  // 4 bytes
        base::Secret bytes;
    };
    Keyring() = default;
    std::vector<Key> keys_;
};

}  // namespace opensend::crypto
