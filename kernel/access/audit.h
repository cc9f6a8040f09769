#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/uuid.h"
#include "kernel/db/session.h"
#include "kernel/json/value.h"
#include "kernel/model/ids.h"

namespace opensend::access {

/// Who acted: an API key, a user, an operator at the command line, or the system itself.
struct AuditActor {
    std::string type = "system";    // "api_key", "user", "operator", "system"
    std::optional<std::string> id;  // of the key or user
    std::string label = "system";   // what a reader recognises: key name, address, login name
};

/// By which way the action came.
struct AuditOrigin {
    std::string source = "system";  // "api", "dashboard", "cli", "smtp", "system"
    std::optional<std::string> ip, user_agent, request_id;
};

/// One action as it enters the audit log (platform.md 3.7).
struct AuditEntry {
    model::TenantId tenant;
    std::string action;       // "domain.created"
    std::string target_type;  // "domain"
    std::string target_id;
    AuditActor actor;
    AuditOrigin origin;
    /// A JSON object. Members whose name speaks of a secret are dropped, long texts are cut, and so
    /// are more than 50 members and a depth of more than 6 (AUD-05).
    std::string metadata = "{}";
    base::Time time;
};

/// Appends the entry to the chain of its tenant, in the caller's transaction (AUD-01, AUD-02). The
/// tenant's chain is held until that transaction ends.
void Audit(db::Session& tx, base::UuidSource& ids, const AuditEntry& entry);

/// What is hashed of an entry: RFC 8785 text with its id and sequence.
std::string AuditText(const AuditEntry& entry, std::string_view id, int64_t sequence);
/// The link of the chain: hexadecimal SHA-256 of the previous hash's 32 bytes and the text.
std::string AuditHash(std::string_view previous_hex, std::string_view text);
/// The hash before the first entry.
inline constexpr std::string_view kAuditStart =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// Where a chain does not hold.
struct AuditBreak {
    bool operator==(const AuditBreak&) const = default;
    int64_t sequence = 0;
    std::string reason;
};
/// Recomputes the chain of one tenant (AUD-04). nullopt: intact. `entries` gets their number.
std::optional<AuditBreak> VerifyAudit(
    db::Session& reader, const model::TenantId& tenant, int64_t* entries
);

/// Every entry of a tenant in order, as one JSON object each, with its hashes.
void ExportAudit(
    db::Session& reader,
    const model::TenantId& tenant,
    const std::function<void(const std::string& line)>& out
);

}  // namespace opensend::access
