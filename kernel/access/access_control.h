#pragma once

#include <functional>
#include <string>

#include "kernel/access/key_directory.h"
#include "kernel/base/cidr.h"
#include "kernel/base/secret.h"
#include "kernel/http/message.h"
#include "kernel/model/authenticator.h"
#include "kernel/model/principal.h"

namespace opensend::access {

/// The bearer token of a request. Throws 401 missing_api_key, or with code malformed_api_key
/// (REST 1.2).
base::Secret BearerToken(const http::Headers& headers);

/// From credential to principal: the auth backends prove it, this applies revocation, expiry,
/// address and organization state, and then the class of the route.
class AccessControl {
public:
    AccessControl(model::Authenticator& backends, KeyDirectory& keys, const base::Clock& clock)
        : backends_(backends), keys_(keys), clock_(clock) {}

    struct Where {
        base::IpAddress client;
        std::string method, path, listener = "api";
    };
    /// Throws 401/403 for a bad credential (kInvalidApiKey, kMissingApiKey: these cost a
    /// failed-auth unit) and 503 auth_unavailable.
    model::Principal Authenticate(base::Secret token, const Where& where);
    /// Throws 401 restricted_api_key or 403 org_suspended.
    void Authorize(
        const model::Principal& principal, model::RouteClass route, bool open_to_restricted
    );

private:
    model::Authenticator& backends_;
    KeyDirectory& keys_;
    const base::Clock& clock_;
};

}  // namespace opensend::access
