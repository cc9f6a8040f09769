#include "kernel/plugin/kinds/adapter.h"

#include <chrono>
#include <thread>

namespace opensend::plugin {

bool ShutDownInstance(Instance& instance, base::MonoTime deadline) {
    instance.Drain(deadline);
    instance.tokens().RevokeAll();
    while (instance.calls_inside() > 0 && instance.clock().Mono() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (instance.calls_inside() > 0) return false;
    instance.Stop();
    return true;
}

}  // namespace opensend::plugin
