#pragma once

#include <string_view>

#include "kernel/base/result.h"
#include "kernel/egress/guard.h"

namespace opensend::egress {

/// Room for what Guard accepts once it is percent-encoded, as the client gets it.
inline constexpr size_t kMaxUrlBytes = 32 * 1024;

/// Syntax only, as a browser reads it but with nothing repaired: what a browser would strip or turn
/// around (white space, backslashes, missing slashes) is refused. Numeric hosts become addresses.
base::Result<Url, Refusal> ParseUrl(std::string_view url);

}  // namespace opensend::egress
