#include "kernel/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace opensend::base {

void CheckFailed(const char* file, int line, const char* expression, const char* what) {
    std::fprintf(stderr, "%s:%d: broken invariant: %s (%s)\n", file, line, what, expression);
    std::abort();
}

}  // namespace opensend::base
