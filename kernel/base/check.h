#pragma once

namespace opensend::base {

/// Writes `what`, the expression and its place to stderr and aborts: a broken invariant is a bug.
[[noreturn]] void CheckFailed(const char* file, int line, const char* expression, const char* what);

}  // namespace opensend::base

/// An invariant that no input can break. When it is broken the process ends; the queue is durable.
#define OPENSEND_CHECK(condition, what) \
    (static_cast<bool>(condition)       \
         ? static_cast<void>(0)         \
         : ::opensend::base::CheckFailed(__FILE__, __LINE__, #condition, what))
