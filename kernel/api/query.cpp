#include "kernel/api/query.h"

#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/json/writer.h"

namespace opensend::api {

std::optional<std::string> QueryText(const Call& call, std::string_view name) {
    const auto found = call.query.find(name);
    if (found == call.query.end() || found->second.empty()) return std::nullopt;
    return found->second;
}

std::optional<base::Time> QueryTime(const Call& call, std::string_view name, bool upper) {
    const auto text = QueryText(call, name);
    if (!text) return std::nullopt;
    const auto time = base::ParseIso(*text);
    if (!time) throw Call::BadParameter(name, "must be an ISO 8601 time");
    const bool whole_day = text->size() == 10;
    return whole_day && upper ? *time + std::chrono::hours(24) - std::chrono::milliseconds(1)
                              : *time;
}

std::optional<base::Uuid> QueryId(const Call& call, std::string_view name) {
    const auto text = QueryText(call, name);
    if (!text) return std::nullopt;
    const auto id = base::ParseUuid(*text);
    if (!id) throw Call::BadParameter(name, "must be a UUID");
    return id;
}

std::string TagPattern(const std::string& name, const std::optional<std::string>& value) {
    const std::string start = base::Cat("{\"name\":", json::Quote(name), ",\"value\":");
    return value ? base::Cat(start, json::Quote(*value), '}') : start;
}

}  // namespace opensend::api
