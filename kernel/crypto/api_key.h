#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/random.h"
#include "kernel/base/secret.h"

namespace opensend::crypto {

inline constexpr size_t kApiKeyRefChars = 12;
inline constexpr size_t kApiKeySecretChars = 32;
inline constexpr size_t kApiKeyTokenChars = 53;

/// The parts of a token text, as views into it.
struct ApiKeyToken {
    std::string_view ref;
    std::string_view secret;
};

struct NewApiKey {
    base::Secret token;  // shown once
    std::string ref;     // finds the credential
    base::Secret secret;
};

NewApiKey MakeApiKey(base::Random& random);

/// nullopt when shape or checksum are wrong (KEY-01, KEY-03); says nothing about validity.
std::optional<ApiKeyToken> ParseApiKey(std::string_view token);

/// What the stored MAC of a credential covers (KEY-13).
std::string ApiKeyMacInput(std::string_view ref, std::string_view secret);

/// "os_7Hq2…6eVp": enough to recognise a token, of no use to anyone else. "…" for other texts.
std::string TokenPreview(std::string_view token);

}  // namespace opensend::crypto
