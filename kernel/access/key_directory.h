#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernel/access/instance_keys.h"
#include "kernel/base/cidr.h"
#include "kernel/base/guarded.h"
#include "kernel/db/pool.h"
#include "kernel/model/authenticator.h"
#include "kernel/model/ids.h"
#include "kernel/model/permission.h"
#include "kernel/model/rate_limiter.h"

namespace opensend::access {

/// What the kernel checks after a credential was proven (KEY-11).
struct KeyRecord {
    model::ApiKeyId id;
    std::string name;
    model::TenantId tenant;
    model::KeyPermission permission = model::KeyPermission::kSendingAccess;
    std::optional<model::DomainId> domain;
    std::optional<base::Time> expires_at;
    std::vector<base::Cidr> allowed;
    std::string allowed_json = "[]";
    bool revoked = false;
    std::string org_state;
    std::shared_ptr<const model::OwnRates> rates;  // of the key, else of its organization
};

/// API keys and credentials for the request path. Records are cached for at most a second and
/// dropped at once by Invalidate, so a revocation is effective within a second on every node
/// (KEY-17).
class KeyDirectory final : public model::CredentialSource {
public:
    KeyDirectory(db::Pool& pool, const InstanceKeys& keys, const base::Clock& clock)
        : pool_(pool), keys_(keys), clock_(clock) {}

    std::optional<model::StoredCredential> FindCredential(std::string_view key_ref) override;
    std::optional<std::string> PepperMac(uint32_t pepper_kid, std::string_view data) override;
    uint32_t active_pepper() const override { return keys_.Active("apikey_pepper").kid; }

    std::optional<KeyRecord> FindKey(const model::ApiKeyId& id);
    /// After any change of keys, credentials or organizations by this process.
    void Invalidate();

    /// Remembers a use; FlushUses writes at most one row per key and minute (KEY-16).
    void NoteUse(const model::ApiKeyId& id, const base::IpAddress& address);
    void FlushUses();

private:
    template <class T>
    struct Cached {
        T value;
        base::MonoTime until;
    };
    struct Use {
        std::string address;
        base::Time at;
        base::MonoTime written;
        bool pending = false;
    };
    db::Pool& pool_;
    const InstanceKeys& keys_;
    const base::Clock& clock_;
    base::Guarded<std::unordered_map<std::string, Cached<model::StoredCredential>>> credentials_;
    base::Guarded<std::unordered_map<model::ApiKeyId, Cached<KeyRecord>>> records_;
    base::Guarded<std::unordered_map<model::ApiKeyId, Use>> uses_;
    std::atomic<uint64_t> generation_{0};
};

}  // namespace opensend::access
