#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernel/access/instance_keys.h"
#include "kernel/crypto/token.h"
#include "kernel/model/ids.h"

namespace opensend::access {

/// Download links that need no credential: signed, bound to tenant, object and name, and short
/// lived (platform.md 8.7). Thread-safe.
class FileLinks {
public:
    /// `app_url` without path; `life` of every link.
    FileLinks(const InstanceKeys& keys, std::string app_url, base::Duration life);

    struct Link {
        std::string url;
        base::Time expires_at;
    };
    Link Make(
        crypto::FileKind kind,
        const model::TenantId& tenant,
        const base::Uuid& object,
        std::string_view name,
        base::Time now
    ) const;
    /// What the token of a link names. Throws NotFound for a token that is not ours and 410
    /// link_expired for an old one.
    crypto::FileRef Open(std::string_view token, base::Time now) const;

private:
    const InstanceKeys& keys_;
    const std::string prefix_;
    const base::Duration life_;
};

}  // namespace opensend::access
