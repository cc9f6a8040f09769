#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/plugin/load/problem.h"

namespace opensend::plugin {

/// Public keys are written "ed25519:<base64 of 32 bytes>", signatures "ed25519:<base64 of 64>".
std::string PublicKeyText(std::string_view raw);
/// The 32 bytes; nullopt: another form.
std::optional<std::string> ParsePublicKey(std::string_view text);

/// What is signed: the 32 bytes of the file's SHA-256, then id and version of its manifest.
std::string SignedBytes(std::string_view sha256_raw, std::string_view id, std::string_view version);
/// Content of `<file>.sig`.
std::string SignatureLine(std::string_view signature);

/// The trusted key, as it was given, that made one of the lines of a signature file; a problem of
/// step "signature" when none did or a key is not one.
Checked<std::string> FindSigner(
    std::string_view signature_file,
    std::string_view signed_bytes,
    const std::vector<std::string>& trusted_keys
);

}  // namespace opensend::plugin
