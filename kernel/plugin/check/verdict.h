#pragma once

#include <string>

namespace opensend::plugin_check {

/// Ends a check: the sentence was not true, or there was nothing to ask.
struct Failed {
    std::string why;
};
struct NotHere {
    std::string why;
};
inline void Require(bool holds, const std::string& why) {
    if (!holds) throw Failed{why};
}

}  // namespace opensend::plugin_check
