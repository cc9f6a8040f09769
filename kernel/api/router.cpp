#include "kernel/api/router.h"

#include <algorithm>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/http/uri.h"

namespace opensend::api {
namespace {

constexpr Method kMethods[] = {
    Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE};

bool Matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
    if (pattern.size() != path.size()) return false;
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i].front() != ':' && pattern[i] != path[i]) return false;
    }
    return true;
}

/// More literal segments, from the left, make a better match.
bool IsMoreLiteral(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    for (size_t i = 0; i < a.size(); ++i) {
        const bool a_literal = a[i].front() != ':';
        const bool b_literal = b[i].front() != ':';
        if (a_literal != b_literal) return a_literal;
    }
    return false;
}

}  // namespace

std::string_view ToText(Method method) {
    switch (method) {
        case Method::GET: return "GET";
        case Method::POST: return "POST";
        case Method::PUT: return "PUT";
        case Method::PATCH: return "PATCH";
        case Method::DELETE: return "DELETE";
    }
    return "";
}

void Router::Add(MountedRoute route) {
    std::vector<std::string> parts;
    for (const std::string_view part : base::Split(std::string_view(route.path).substr(1), '/')) {
        parts.emplace_back(part);
    }
    for (size_t i = 0; i < routes_.size(); ++i) {
        OPENSEND_CHECK(
            routes_[i].method != route.method || segments_[i] != parts, "one handler per route"
        );
    }
    routes_.push_back(std::move(route));
    segments_.push_back(std::move(parts));
}

Router::Match Router::Find(std::string_view method, std::string_view raw_path) const {
    Match match;
    const auto path = http::SplitPath(raw_path);
    if (!path || path->empty()) return match;
    const std::vector<std::string>* best = nullptr;
    for (size_t i = 0; i < routes_.size(); ++i) {
        if (!Matches(segments_[i], *path)) continue;
        if (best == nullptr || IsMoreLiteral(segments_[i], *best)) best = &segments_[i];
    }
    if (best == nullptr) return match;
    const std::string_view wanted = method == "HEAD" ? "GET" : method;
    std::vector<std::string> allowed;
    for (const Method candidate : kMethods) {
        for (size_t i = 0; i < routes_.size(); ++i) {
            if (routes_[i].method != candidate || segments_[i] != *best) continue;
            allowed.emplace_back(ToText(candidate));
            if (candidate == Method::GET) allowed.emplace_back("HEAD");
            if (ToText(candidate) == wanted) match.route = &routes_[i];
        }
    }
    allowed.emplace_back("OPTIONS");
    match.allow = base::Join(allowed, ", ");
    for (size_t i = 0; i < best->size(); ++i) {
        if ((*best)[i].front() == ':') match.params[(*best)[i].substr(1)] = (*path)[i];
    }
    return match;
}

}  // namespace opensend::api
