#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/random.h"

namespace opensend::api {

/// What ties a request to others (REST 1.13).
struct Trace {
    std::string traceparent;     // of this request: "00-<32 hex>-<16 hex>-<2 hex>"
    std::string correlation_id;  // the caller's, else the trace id
};

/// Continues the caller's W3C trace with a span of our own, or begins one when `traceparent` is
/// absent or invalid. A correlation id of other characters than [A-Za-z0-9._:-] or more than 128 of
/// them is dropped.
Trace ContinueTrace(
    std::optional<std::string_view> traceparent,
    std::optional<std::string_view> correlation_id,
    base::Random& random
);

}  // namespace opensend::api
