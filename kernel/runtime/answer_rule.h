#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.h"

namespace opensend::runtime {

/// An operator's word on what an answer of a transport means: it fits when everything it names
/// fits. Numbers of -1 mean any.
struct AnswerRule {
    std::string
        result;  // "throttle", "temp", …: a class of platform.md 9.5 that an answer can have
    int code_from = -1, code_to = -1;
    int enhanced[3] = {-1, -1, -1};
    std::string stage;               // "rcpt", "data", …; empty: any
    std::string kind;                // scheme of the transport's URL, or its plugin; empty: any
    std::vector<std::string> words;  // one of them is in the text, in lower case; none: any text
};

/// "throttle code=421 enhanced=4.7.* stage=rcpt kind=smtp text=too many|slow down"; the text takes
/// the rest of the line. The failure says what is wrong.
base::Result<AnswerRule, std::string> ParseAnswerRule(std::string_view text);

}  // namespace opensend::runtime
