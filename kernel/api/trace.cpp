#include "kernel/api/trace.h"

#include <algorithm>

#include "kernel/base/encoding.h"
#include "kernel/base/text.h"

namespace opensend::api {
namespace {

constexpr size_t kTraceparent = 55;

bool IsLowerHex(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    });
}

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

/// A version 00 value, or the known front of a later one.
bool IsTraceparent(std::string_view text) {
    if (text.size() < kTraceparent) return false;
    const std::string_view version = text.substr(0, 2);
    if (version == "ff" || !IsLowerHex(version)) return false;
    if (version == "00" ? text.size() != kTraceparent
                        : text.size() > kTraceparent && text[kTraceparent] != '-') {
        return false;
    }
    const std::string_view trace = text.substr(3, 32);
    const std::string_view span = text.substr(36, 16);
    return text[2] == '-' && text[35] == '-' && text[52] == '-' && IsLowerHex(trace) &&
           IsLowerHex(span) && IsLowerHex(text.substr(53, 2)) && !IsZero(trace) && !IsZero(span);
}

bool IsCorrelationId(std::string_view text) {
    return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == ':' || c == '-';
    });
}

}  // namespace

Trace ContinueTrace(
    std::optional<std::string_view> traceparent,
    std::optional<std::string_view> correlation_id,
    base::Random& random
) {
    const std::string drawn = base::HexEncode(random.String(24));
    const bool given = traceparent && IsTraceparent(*traceparent);
    const std::string trace_id =
        given ? std::string(traceparent->substr(3, 32)) : drawn.substr(0, 32);
    const std::string flags = given ? std::string(traceparent->substr(53, 2)) : "00";
    Trace trace;
    trace.traceparent = base::Cat("00-", trace_id, '-', drawn.substr(32), '-', flags);
    const bool own = !correlation_id || !IsCorrelationId(*correlation_id);
    trace.correlation_id = own ? trace_id : std::string(*correlation_id);
    return trace;
}

}  // namespace opensend::api
