#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/api/route.h"
#include "kernel/base/embedded.h"

namespace opensend::api {

/// The OpenAPI 3.1 document of these routes, as JSON. `files` are the `*.schema.json` files:
/// objects with the members "schemas" and "parameters", whose names are unique over all files. A
/// parameter named `tag.name` is what routes of that tag mean by `name`. `server_url` is where
/// clients call. A route without documentation, or one that names what no file has, is a broken
/// invariant.
std::string OpenApiText(
    const std::vector<MountedRoute>& routes,
    std::span<const base::EmbeddedFile> files,
    std::string_view server_url
);

}  // namespace opensend::api
