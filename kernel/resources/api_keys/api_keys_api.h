#pragma once

#include <memory>
#include <string>

#include "kernel/access/idempotency.h"
#include "kernel/access/instance_keys.h"
#include "kernel/access/key_directory.h"
#include "kernel/api/router.h"
#include "kernel/resources/api_keys/api_key_store.h"

namespace opensend::api_keys {

/// A new key with its token, which exists only here (KEY-12).
struct MintedKey {
    ApiKey key;
    Credential credential;
    base::Secret token;
};

/// Draws token and MAC for `key`, whose other fields are set; a nil id gets a new one.
MintedKey Mint(
    ApiKey key,
    const access::InstanceKeys& instance_keys,
    base::UuidSource& ids,
    base::Random& random
);

/// Routes of REST 2.7.
class ApiKeysApi {
public:
    ApiKeysApi(
        db::Pool& pool,
        const access::InstanceKeys& instance_keys,
        access::KeyDirectory& directory,
        access::Idempotency& idempotency,
        base::UuidSource& ids,
        base::Random& random
    )
        : pool_(pool),
          instance_keys_(instance_keys),
          directory_(directory),
          idempotency_(idempotency),
          ids_(ids),
          random_(random) {}
    void Mount(api::Router& router);

private:
    api::Answer Create(const std::shared_ptr<api::Call>& call);
    api::Answer List(const std::shared_ptr<api::Call>& call);
    api::Answer Get(const std::shared_ptr<api::Call>& call);
    api::Answer Update(const std::shared_ptr<api::Call>& call);
    api::Answer Rotate(const std::shared_ptr<api::Call>& call);
    api::Answer Delete(const std::shared_ptr<api::Call>& call);

    db::Pool& pool_;
    const access::InstanceKeys& instance_keys_;
    access::KeyDirectory& directory_;
    access::Idempotency& idempotency_;
    base::UuidSource& ids_;
    base::Random& random_;
};

}  // namespace opensend::api_keys
