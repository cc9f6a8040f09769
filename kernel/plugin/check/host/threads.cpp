#include "kernel/plugin/check/host/threads.h"

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "kernel/plugin/check/verdict.h"
#include "kernel/runtime/worker.h"

namespace opensend::plugin_check {

void RunInThreads(size_t n, const std::function<void(size_t)>& call) {
    std::mutex mutex;
    std::optional<Failed> first;
    const auto keep = [&](std::string why) {
        const std::lock_guard lock(mutex);
        if (!first) first = Failed{std::move(why)};
    };
    {
        std::vector<std::unique_ptr<runtime::Worker>> threads;
        for (size_t i = 0; i < n; ++i) {
            threads.push_back(std::make_unique<runtime::Worker>(
                "plugin-check",
                [&, i](runtime::StopToken&) {
                    try {
                        call(i);
                    } catch (const Failed& failed) {
                        keep(failed.why);
                    } catch (const std::exception& error) {
                        keep(error.what());
                    }
                }
            ));
        }
    }
    if (first) throw Failed{*first};
}

}  // namespace opensend::plugin_check
