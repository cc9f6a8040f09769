#pragma once

#include <string>

#include "kernel/api/router.h"

namespace opensend::health {

/// GET /openapi.json: one text for all, kept in memory (REST 2.24).
class OpenApiApi {
public:
    void Mount(api::Router& router);
    /// What is answered from now on. Once, before the listener takes calls.
    void Publish(std::string text);

private:
    api::Answer Get(const std::shared_ptr<api::Call>& call);

    std::string text_, etag_;
};

}  // namespace opensend::health
