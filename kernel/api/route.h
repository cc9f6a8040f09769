#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/api/call.h"
#include "kernel/model/permission.h"

namespace opensend::api {

enum class Method { GET = 1, POST, PUT, PATCH, DELETE };
std::string_view ToText(Method method);

/// What a row says beyond method and path.
struct RouteTraits {
    size_t max_body = 1024 * 1024;
    bool admin_cost = false;          // also costs one key.admin unit
    bool open_to_restricted = false;  // domain-restricted keys may call it
    bool health = false;              // no limits, no log row
    bool unlogged = false;            // no log row
    bool takes_csv = false;           // a body of text/csv reads like {"csv": its text}
};

/// One row of a resource's table; handlers are members of `Api`.
template <class Api>
struct Route {
    Method method;
    std::string_view path;  // "/emails/:id"
    model::RouteClass scope;
    Answer (Api::*handler)(const std::shared_ptr<Call>&);
    RouteTraits traits = {};
};

/// A row as the router keeps it.
struct MountedRoute {
    Method method;
    std::string path;
    model::RouteClass scope;
    RouteTraits traits;
    std::function<Answer(const std::shared_ptr<Call>&)> handler;
};

}  // namespace opensend::api
