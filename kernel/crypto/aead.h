#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/secret.h"

namespace opensend::crypto {

inline constexpr size_t kAeadKeyBytes = 32;
inline constexpr size_t kAeadNonceBytes = 12;
inline constexpr size_t kAeadTagBytes = 16;

/// AES-256-GCM: ciphertext, then the tag. A nonce serves one key once.
std::string AeadSeal(
    std::string_view key,
    std::string_view nonce,
    std::string_view associated,
    std::string_view plain
);

/// nullopt when key, nonce, associated data or a byte of `sealed` are not those of the sealing.
std::optional<base::Secret> AeadOpen(
    std::string_view key,
    std::string_view nonce,
    std::string_view associated,
    std::string_view sealed
);

}  // namespace opensend::crypto
