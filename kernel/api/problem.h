#pragma once

#include <string>
#include <string_view>

#include "kernel/base/error.h"
#include "kernel/http/message.h"

namespace opensend::api {

/// Status and Resend-shaped body of an error (REST 1.6): the one place that knows names and
/// statuses.
http::Response ToResponse(const base::Error& error, std::string_view request_id);

/// HTTP status of an error code.
int StatusOf(base::ErrorCode code);
/// The `name` member.
std::string_view NameOf(base::ErrorCode code);

}  // namespace opensend::api
