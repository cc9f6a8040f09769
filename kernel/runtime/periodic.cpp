#include "kernel/runtime/periodic.h"

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

#include "kernel/base/check.h"
#include "kernel/runtime/log.h"

namespace opensend::runtime {
namespace {

void RunPeriodically(
    const std::string& name,
    std::chrono::milliseconds interval,
    const std::function<void()>& task,
    StopToken& stop
) {
    // Spreads processes that were started together; nothing secret depends on it.
    std::minstd_rand random(std::random_device{}());
    const auto tenth = interval.count() / 10;
    std::uniform_int_distribution<int64_t> jitter(-tenth, tenth);
    while (!stop.stopped()) {
        try {
            task();
        } catch (const std::exception& error) {
            OPENSEND_LOG(
                kError, "periodic.failed", "a periodic task ended with an exception",
                kv("task", name), kv("error", error.what())
            );
        }
        stop.SleepFor(interval + std::chrono::milliseconds(jitter(random)));
    }
}

}  // namespace

Periodic::Periodic(std::string name, std::chrono::milliseconds interval, std::function<void()> task)
    : worker_(name, [name, interval, task = std::move(task)](StopToken& stop) {
          OPENSEND_CHECK(interval.count() > 0, "an interval is longer than nothing");
          RunPeriodically(name, interval, task, stop);
      }) {}

}  // namespace opensend::runtime
