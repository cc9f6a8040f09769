#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kernel/base/result.h"
#include "kernel/base/secret.h"

namespace opensend::crypto {

/// A private key that signs. Thread-safe after construction.
class SigningKey {
public:
    enum class Kind { kRsa = 1, kEd25519 };
    static SigningKey GenerateRsa2048();
    static SigningKey GenerateEd25519();
    /// PKCS#8 DER.
    static base::Result<SigningKey, std::string> FromPkcs8(const base::Secret& der);

    Kind kind() const;
    base::Secret ToPkcs8() const;
    /// SubjectPublicKeyInfo DER for RSA; the 32 raw bytes for Ed25519 (DKIM-09).
    std::string PublicBytes() const;
    /// RSA: PKCS#1 v1.5 over SHA-256 of `data`. Ed25519: over SHA-256(data), as RFC 8463 asks.
    std::string SignDkim(std::string_view data) const;
    /// Ed25519 over the data itself (RFC 8032); the key must be of that kind.
    std::string SignEd25519(std::string_view data) const;

private:
    struct State;
    std::shared_ptr<const State> state_;
};

/// True when `signature` is what SignDkim makes over `data` with the private half of `public_bytes`
/// (in the form of PublicBytes). False too when the public key cannot be read.
bool VerifyDkim(
    SigningKey::Kind kind,
    std::string_view public_bytes,
    std::string_view data,
    std::string_view signature
);

/// True when `signature` is what SignEd25519 makes over `data` with the private half of the 32
/// bytes.
bool VerifyEd25519(
    std::string_view public_bytes, std::string_view data, std::string_view signature
);

}  // namespace opensend::crypto
