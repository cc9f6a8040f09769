#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/model/ids.h"

namespace opensend::api {

/// One authenticated request and its answer, as the request log gets it (REST 1.15).
struct RequestRecord {
    model::LogId id;  // the request id, as a UUID
    model::TenantId tenant;
    model::ApiKeyId key;
    base::Time at;
    std::string endpoint;  // path and query as sent, a token in it redacted
    std::string method;
    int status = 0;
    std::string user_agent, request_id, correlation_id;
    int64_t duration_ms = 0;
    bool replayed = false;
    std::vector<std::string> email_ids;
    std::vector<std::pair<std::string, std::string>> tags;
    std::optional<std::string> request_body;  // redacted JSON
    std::string response_body;                // as sent; not redacted yet
};

}  // namespace opensend::api
