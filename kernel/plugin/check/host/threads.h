#pragma once

#include <functional>

namespace opensend::plugin_check {

/// Runs `call(i)` in n threads at once and waits for them. What the first of them threw is thrown.
void RunInThreads(size_t n, const std::function<void(size_t)>& call);

}  // namespace opensend::plugin_check
