#include "kernel/runtime/crash_point.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "kernel/base/text.h"

namespace opensend::runtime {
namespace {

struct CrashPlan {
    std::string name;
    int64_t at = 0;
};

CrashPlan ReadCrashPlan() {
    const char* text = std::getenv("OPENSEND_CRASH_AT");
    if (text == nullptr) return {};
    const std::string_view view(text);
    const size_t colon = view.find(':');
    if (colon == std::string_view::npos) return {std::string(view), 1};
    return {std::string(view.substr(0, colon)), base::ParseInt(view.substr(colon + 1)).value_or(1)};
}

}  // namespace

void ReachCrashPoint(std::string_view name) {
    static const CrashPlan plan = ReadCrashPlan();
    static std::atomic<int64_t> reached{0};
    if (plan.name != name) return;
    if (++reached == plan.at) kill(getpid(), SIGKILL);
}

bool HasFault(std::string_view name) {
    static const char* const fault = std::getenv("OPENSEND_FAULT");
    return fault != nullptr && name == fault;
}

}  // namespace opensend::runtime
