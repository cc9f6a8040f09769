#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernel/json/value.h"
#include "kernel/plugin/load/problem.h"

namespace opensend::plugin {

/// Why `schema` is none of the JSON Schema subset that plugins may use: type, enum, const, anyOf,
/// required, properties, additionalProperties, items, minimum, maximum, minLength, maxLength,
/// minItems, maxItems, and "$ref": "opensend:secret" for a secret. Words that only describe, and
/// pattern, which is the plugin's to check, are allowed and have no effect.
std::optional<Problem> CheckSchema(const json::Value& schema, std::string_view name);

/// The longest schema of a kind, in bytes.
constexpr size_t kMaxSchema = 64 * 1024;
/// A schema that a kind of a plugin brings along, checked; the empty text is none.
Checked<std::string> TakeSchema(std::string text, const std::string& kind);

/// The configuration of an instance as its plugin gets it. Settings are texts; one that stands
/// where the schema wants a number, a boolean or a list becomes that. What the schema refuses is a
/// problem of step "config" with the path; no value of the configuration is in it. An empty schema
/// text takes every object.
Checked<std::string> ApplySchema(std::string_view schema, std::string_view config);

}  // namespace opensend::plugin
