#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
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
    bool export_cost = false;         // also costs one org.export unit
    bool open_to_restricted = false;  // domain-restricted keys may call it
    bool health = false;              // no limits, no log row
    bool unlogged = false;            // no log row
    bool takes_csv = false;           // a body of text/csv reads like {"csv": its text}
};

/// A literal that says something: leaving it out, or empty, does not compile.
class Said {
public:
    template <size_t N>
    consteval Said(const char (&literal)[N]) : text_(literal, N - 1) {
        static_assert(N > 1, "a route is documented");
    }
    constexpr operator std::string_view() const { return text_; }

private:
    std::string_view text_;
};

/// What the OpenAPI document tells of a row (kernel/api/openapi.h). Schemas and parameters are
/// named as in the `*.schema.json` files; there `tag.name` is what rows of that tag mean by `name`.
struct RouteDoc {
    Said id;                     // "emails.list": its tag and what is done
    Said summary;                // a few words
    Said answers;                // "201 Domain, 200 Domain"; "200 Email[]": a list; "200 text/csv"
    std::string_view body = {};  // schema of what the client sends; empty: nothing is read
    /// Parameters beside those in the path: "page status"; page is limit, after and before.
    std::string_view takes = {};
    std::string_view refusals = {};  // statuses beside those that every such route has: "409 410"
};

/// One row of a resource's table; handlers are members of `Api`.
template <class Api>
struct Route {
    Method method;
    std::string_view path;  // "/emails/:id"
    model::RouteClass scope;
    Answer (Api::*handler)(const std::shared_ptr<Call>&);
    RouteDoc doc;
    RouteTraits traits = {};
};

/// A row as the router keeps it.
struct MountedRoute {
    Method method;
    std::string path;
    model::RouteClass scope;
    RouteTraits traits;
    std::function<Answer(const std::shared_ptr<Call>&)> handler;
    std::optional<RouteDoc> doc = std::nullopt;
};

}  // namespace opensend::api
