#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/api/route.h"

namespace opensend::api {

/// All routes of a listener. Mounted at start, then read from every thread.
class Router {
public:
    /// Adds a resource's table. A second row for one method and path is a broken invariant.
    template <class Api, size_t N>
    void Mount(const Route<Api> (&routes)[N], Api& api) {
        for (const auto& route : routes) {
            Add(
                {route.method, std::string(route.path), route.scope, route.traits,
                 [&api, handler = route.handler](const std::shared_ptr<Call>& call) {
                     return (api.*handler)(call);
                 },
                 route.doc}
            );
        }
    }
    void Add(MountedRoute route);

    struct Match {
        const MountedRoute* route = nullptr;  // null: no such path, or method not allowed
        std::string allow;                    // for 405 and OPTIONS; empty: 404
        std::map<std::string, std::string, std::less<>> params;
    };
    /// A literal segment wins over a parameter. HEAD finds the GET row.
    Match Find(std::string_view method, std::string_view raw_path) const;
    const std::vector<MountedRoute>& routes() const { return routes_; }

private:
    std::vector<MountedRoute> routes_;
    std::vector<std::vector<std::string>> segments_;  // of routes_[i]
};

}  // namespace opensend::api
