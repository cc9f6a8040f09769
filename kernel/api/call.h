#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/access/rate_gate.h"
#include "kernel/api/request_record.h"
#include "kernel/base/error.h"
#include "kernel/base/id.h"
#include "kernel/http/message.h"
#include "kernel/http/server.h"
#include "kernel/json/reader.h"
#include "kernel/json/value.h"
#include "kernel/model/principal.h"

namespace opensend::api {

/// What the answer says beyond the handler's response; shared with whoever answers.
struct ReplyFacts {
    base::Uuid id;           // of the request
    std::string request_id;  // the same as "req_…"
    std::string method;
    std::string route = "none";
    base::MonoTime started;
    access::RateHeaders rates;
    std::vector<std::string> ignored_fields;  // for X-OpenSend-Ignored-Fields
    std::string traceparent, correlation_id;
    std::vector<std::string> email_ids;  // messages this call is about, for the request log
    /// What the request log gets; present once the caller is known and the route is logged.
    std::optional<RequestRecord> record;
};

/// Everything a handler receives. Lives until the answer is sent.
struct Call {
    http::Request request;
    std::map<std::string, std::string, std::less<>> params;  // ":id" of the route, decoded
    std::map<std::string, std::string, std::less<>> query;
    model::Principal principal;  // nil on public routes
    base::IpAddress client;      // RATE-25
    base::Time now;
    std::optional<std::string> idempotency_key;  // syntax checked
    std::optional<json::Document> document;      // set when the route takes a body
    bool strict_fields = false;                  // X-OpenSend-Strict
    std::shared_ptr<ReplyFacts> facts = std::make_shared<ReplyFacts>();
    /// For handlers that answer later, on any thread, once. Takes care of common headers.
    http::Reply reply;

    json::Value body() const { return document ? document->root() : json::Value(); }
    /// The path parameter as an id. Throws 422 invalid_parameter for another shape.
    template <class IdType>
    IdType Id(std::string_view name = "id") const {
        const auto found = params.find(name);
        const auto id = found == params.end() ? std::nullopt : IdType::Parse(found->second);
        if (!id) throw BadParameter(name, "must be a UUID");
        return *id;
    }
    static base::Error BadParameter(std::string_view name, std::string_view reason) {
        return base::Error(
            base::ErrorCode::kInvalidParameter,
            "Invalid `" + std::string(name) + "` parameter: " + std::string(reason) + "."
        );
    }
};

/// What a handler gives back: an answer, or nothing when it took call.reply and answers later.
using Answer = std::optional<http::Response>;

/// A JSON answer.
inline http::Response Json(int status, std::string body) {
    http::Response response;
    response.status = status;
    response.headers.Add("Content-Type", "application/json; charset=utf-8");
    response.body = std::move(body);
    return response;
}

}  // namespace opensend::api
