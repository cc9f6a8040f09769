#pragma once

#include <string>
#include <string_view>

#include "kernel/base/clock.h"
#include "kernel/http/message.h"

namespace opensend::http {

std::string_view ReasonPhrase(int status);
/// "Mon, 02 Mar 2026 09:15:30 GMT".
std::string FormatHttpDate(base::Time time);

/// 204, 304 and 1xx have neither body nor length.
bool StatusHasBody(int status);

struct HeadFacts {
    std::string_view date;
    bool keep_alive = true;
    int request_version_minor = 1;
};
/// Status line and fields up to the empty line. Length, connection and date are the server's own:
/// such fields of `response` are left out.
std::string WriteHead(const Response& response, const HeadFacts& facts);

}  // namespace opensend::http
