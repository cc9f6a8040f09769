#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernel/api/call.h"
#include "kernel/base/uuid.h"

namespace opensend::api {

/// A query parameter; an empty one counts as absent.
std::optional<std::string> QueryText(const Call& call, std::string_view name);
/// ISO 8601. A date alone means the whole day: its start as lower bound, its end as `upper` one
/// (REST 1.9). Throws 422 invalid_parameter.
std::optional<base::Time> QueryTime(const Call& call, std::string_view name, bool upper);
/// A UUID. Throws 422 invalid_parameter.
std::optional<base::Uuid> QueryId(const Call& call, std::string_view name);

/// What a stored list of tags, [{"name":…,"value":…}, …] as our writer makes it, holds when it has
/// the tag; without a value any value.
std::string TagPattern(const std::string& name, const std::optional<std::string>& value);

}  // namespace opensend::api
