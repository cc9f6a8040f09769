#include "kernel/access/access_control.h"

#include <algorithm>

#include "kernel/base/error.h"
#include "kernel/base/text.h"

namespace opensend::access {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::chrono::seconds kBackendDeadline{5};
constexpr size_t kMaxToken = 4096;

Error MissingKey(std::string_view reason) {
    return Error(ErrorCode::kMissingApiKey, "No API key found; send `Authorization: Bearer <key>`.")
        .WithReason(std::string(reason));
}

Error InvalidKey(std::string_view reason = {}) {
    return Error(ErrorCode::kInvalidApiKey, "The API key is not valid.")
        .WithReason(std::string(reason));
}

}  // namespace

base::Secret BearerToken(const http::Headers& headers) {
    const auto header = headers.Find("Authorization");
    if (!header || base::Trim(*header).empty()) throw MissingKey("missing_api_key");
    if (headers.Count("Authorization") > 1) throw MissingKey("malformed_api_key");
    const std::string_view text = base::Trim(*header);
    const size_t gap = text.find_first_of(" \t");
    if (gap == std::string_view::npos || !base::EqualsIgnoreCase(text.substr(0, gap), "bearer")) {
        throw MissingKey("malformed_api_key");
    }
    const std::string_view token = base::Trim(text.substr(gap));
    if (token.empty() || token.size() > kMaxToken ||
        token.find_first_of(" \t") != std::string_view::npos) {
        throw MissingKey("malformed_api_key");
    }
    return base::Secret(std::string(token));
}

model::Principal AccessControl::Authenticate(base::Secret token, const Where& where) {
    model::AuthRequest request;
    request.scheme = "bearer";
    request.credential = std::move(token);
    request.peer = where.client.ToString();
    request.method = where.method;
    request.path = where.path;
    request.listener = where.listener;
    request.deadline = clock_.Mono() + kBackendDeadline;
    const model::AuthResult result = backends_.Authenticate(std::move(request));
    if (result.decision == model::AuthDecision::kUnavailable) {
        throw base::Unavailable("auth_unavailable", result.reason);
    }
    if (result.decision == model::AuthDecision::kDeny) {
        if (result.reason == "expired") throw InvalidKey("api_key_expired");
        if (result.reason == "address_denied") throw InvalidKey("api_key_ip_denied");
        throw InvalidKey();
    }
    const auto id = model::ApiKeyId::Parse(result.subject);
    const auto record = id ? keys_.FindKey(*id) : std::nullopt;
    if (!record || record->revoked || record->tenant.ToString() != result.tenant) {
        throw InvalidKey();
    }
    if (record->org_state == "deleting") throw InvalidKey();
    if (record->expires_at && *record->expires_at <= clock_.Now()) {
        throw InvalidKey("api_key_expired");
    }
    const bool address_ok =
        record->allowed.empty() ||
        std::any_of(record->allowed.begin(), record->allowed.end(), [&](const auto& cidr) {
            return cidr.Contains(where.client);
        });
    if (!address_ok) throw InvalidKey("api_key_ip_denied");
    keys_.NoteUse(*id, where.client);

    model::Principal principal;
    principal.tenant = record->tenant;
    principal.key = record->id;
    principal.key_name = record->name;
    principal.permission = record->permission;
    principal.domain = record->domain;
    principal.expires_at = record->expires_at;
    principal.allowed_ips = record->allowed_json;
    principal.org_suspended = record->org_state == "suspended";
    principal.rates = record->rates;
    return principal;
}

void AccessControl::Authorize(
    const model::Principal& principal, model::RouteClass route, bool open_to_restricted
) {
    if (!model::Allows(principal.permission, route)) {
        throw Error(ErrorCode::kRestrictedApiKey, "This API key may not call this route.")
            .WithReason("insufficient_api_key_permission");
    }
    if (principal.domain && !open_to_restricted) {
        throw Error(ErrorCode::kRestrictedApiKey, "This API key may not call this route.")
            .WithReason("api_key_domain_restricted");
    }
    if (principal.org_suspended && route != model::RouteClass::kRead) {
        throw Error(ErrorCode::kForbidden, "The organization is suspended.")
            .WithReason("org_suspended");
    }
}

}  // namespace opensend::access
