#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/secret.h"

namespace opensend::model {

/// A credential as it was presented.
struct AuthRequest {
    std::string scheme;  // "bearer", "sasl-plain", "sasl-login"
    base::Secret credential;
    std::string peer, method, path, listener;
    std::vector<std::pair<std::string, std::string>> attributes;
    base::MonoTime deadline;
};

enum class AuthDecision { kAllow = 1, kDeny, kUnavailable };

/// What the backends said. The kernel still applies revocation, expiry, addresses, organization
/// state and route scope.
struct AuthResult {
    AuthDecision decision = AuthDecision::kDeny;
    std::string subject;              // key id, or "<backend>:<external id>"
    std::string tenant;               // organization id
    std::vector<std::string> scopes;  // one permission, at most one "domain:<id>"
    std::string reason;               // "invalid", "expired", "address_denied"
    std::chrono::milliseconds cache_ttl{0};
};

/// The configured auth backends, asked in order.
class Authenticator {
public:
    virtual ~Authenticator() = default;
    /// Blocks until the answer or the deadline. Thread-safe.
    virtual AuthResult Authenticate(AuthRequest request) = 0;
};

/// What the credential service of the host needs from the kernel. Thread-safe; may block on a read.
struct StoredCredential {
    std::string subject, tenant, scope;  // key id, organization id, permission
    std::string mac;                     // 32 bytes
    uint32_t pepper_kid = 0;
};
class CredentialSource {
public:
    virtual ~CredentialSource() = default;
    /// nullopt: no such key ref. Throws base::Error when the store cannot answer.
    virtual std::optional<StoredCredential> FindCredential(std::string_view key_ref) = 0;
    /// HMAC-SHA-256 with that pepper; nullopt: unknown pepper.
    virtual std::optional<std::string> PepperMac(uint32_t pepper_kid, std::string_view data) = 0;
    /// The pepper used for unknown refs, so that they take the same time.
    virtual uint32_t active_pepper() const = 0;
};

}  // namespace opensend::model
