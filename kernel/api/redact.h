#pragma once

#include <string>

#include "kernel/json/value.h"

namespace opensend::api {

/// The JSON text of a request or answer as it may be kept in the request log (REST 1.15): values
/// whose name speaks of a secret or holds content are replaced, long texts and lists are cut.
/// Its size does not grow with what is left out.
std::string Redact(const json::Value& value);

/// "[REDACTED]" in place of the value of `token` in a raw query string.
std::string RedactQuery(std::string_view query);

}  // namespace opensend::api
