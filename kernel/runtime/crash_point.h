#pragma once

#include <string_view>

namespace opensend::runtime {

/// Kills the process with SIGKILL when it reaches the named step for the n-th time, as the variable
/// OPENSEND_CRASH_AT ("wire:3") says. Only in builds with OPENSEND_CRASH_POINTS.
void ReachCrashPoint(std::string_view name);
/// Whether the variable OPENSEND_FAULT names this fault: a part of the program that a test takes
/// away to see what else holds. Only in builds with OPENSEND_CRASH_POINTS.
bool HasFault(std::string_view name);

}  // namespace opensend::runtime

#if defined(OPENSEND_CRASH_POINTS)
#define OPENSEND_CRASH_POINT(name) ::opensend::runtime::ReachCrashPoint(name)
#define OPENSEND_HAS_FAULT(name) ::opensend::runtime::HasFault(name)
#else
#define OPENSEND_CRASH_POINT(name) static_cast<void>(0)
#define OPENSEND_HAS_FAULT(name) false
#endif
