#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "kernel/runtime/worker.h"

namespace opensend::runtime {

/// Runs a task every `interval`, each pause longer or shorter by up to a tenth, never two runs at
/// once. The first run comes at once. A task that throws is logged and runs again next time.
class Periodic {
public:
    Periodic(std::string name, std::chrono::milliseconds interval, std::function<void()> task);
    /// The next run starts now, or right after the present one.
    void RunSoon() { worker_.Wake(); }

private:
    Worker worker_;
};

}  // namespace opensend::runtime
