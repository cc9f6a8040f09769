#include "kernel/listeners/admin/admin_api.h"

#include <string_view>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"
#include "kernel/runtime/metrics.h"

namespace opensend::admin {

void AdminApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = AdminApi;
    static constexpr RouteClass kP = RouteClass::kPublic;
    static constexpr api::RouteTraits kNoLimits = {.health = true};
    // clang-format off
    static const api::Route<AdminApi> kRoutes[] = {
        {M::GET, "/metrics", kP, &A::Metrics,
         {.id = "service.metrics", .summary = "Show the metrics",
          .answers = "200 text/plain", .refusals = "401"}, kNoLimits},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

api::Answer AdminApi::Metrics(const std::shared_ptr<api::Call>& call) {
    if (token_) {
        constexpr std::string_view kScheme = "Bearer ";
        const std::string_view given =
            call->request.headers.Find("Authorization").value_or(std::string_view());
        const bool is_right =
            base::StartsWithIgnoreCase(given, kScheme) &&
            crypto::EqualConstantTime(given.substr(kScheme.size()), token_->Reveal());
        if (!is_right)
            throw base::Error(
                base::ErrorCode::kUnauthorized, "Metrics need the token of admin.metrics_token."
            );
    }
    refresh_();
    http::Response response;
    response.headers.Add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    response.body = runtime::MetricsText();
    return response;
}

}  // namespace opensend::admin
