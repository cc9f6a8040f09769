#include "kernel/listeners/api/openapi_api.h"

#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"

namespace opensend::health {
namespace {

/// If-None-Match: a list of tags, or any. Weak tags compare like strong ones.
bool Names(std::string_view header, std::string_view etag) {
    for (std::string_view tag : base::Split(header, ',')) {
        tag = base::Trim(tag);
        if (tag.substr(0, 2) == "W/") tag.remove_prefix(2);
        if (tag == "*" || tag == etag) return true;
    }
    return false;
}

}  // namespace

void OpenApiApi::Mount(api::Router& router) {
    // clang-format off
    static const api::Route<OpenApiApi> kRoutes[] = {
        {api::Method::GET, "/openapi.json", model::RouteClass::kPublic, &OpenApiApi::Get,
         {.id = "service.openapi", .summary = "Describe this API",
          .answers = "200 OpenApi, 304 nothing", .takes = "If-None-Match"}},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

void OpenApiApi::Publish(std::string text) {
    text_ = std::move(text);
    etag_ = base::Cat('"', base::HexEncode(crypto::Sha256(text_).substr(0, 16)), '"');
}

api::Answer OpenApiApi::Get(const std::shared_ptr<api::Call>& call) {
    http::Response response = api::Json(200, "");
    const auto known = call->request.headers.Find("If-None-Match");
    if (known && Names(*known, etag_)) {
        response = http::Response();
        response.status = 304;
    } else {
        response.body = text_;
    }
    response.headers.Set("ETag", etag_);
    response.headers.Set("Cache-Control", "public, max-age=300");
    return response;
}

}  // namespace opensend::health
