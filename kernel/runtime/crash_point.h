#pragma once

#include <string_view>

namespace opensend::runtime {

/// Kills the process with SIGKILL when it reaches the named step for the n-th time, as the variable
/// OPENSEND_CRASH_AT ("wire:3") says. Only in builds with OPENSEND_CRASH_POINTS.
void ReachCrashPoint(std::string_view name);

}  // namespace opensend::runtime

#if defined(OPENSEND_CRASH_POINTS)
#define OPENSEND_CRASH_POINT(name) ::opensend::runtime::ReachCrashPoint(name)
#else
#define OPENSEND_CRASH_POINT(name) static_cast<void>(0)
#endif
