#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/guarded.h"

namespace opensend::plugin::worker {

/// When a worker counts as sick, and how long it rests.
struct Patience {
    std::chrono::milliseconds start{10'000};     // until it has loaded the plugin
    std::chrono::milliseconds heartbeat{5'000};  // without a sign of life
    std::chrono::milliseconds rest{1'000};       // the first pause; doubled up to 300 s
    std::chrono::milliseconds window{60'000};    // three deaths within it open the breaker
};

/// What became of the worker processes of one instance and of those that had its name before.
/// Thread-safe.
class Health {
public:
    struct View {
        std::vector<int> running;  // ids of the processes that serve
        uint64_t starts = 0, deaths = 0;
        uint64_t not_tried = 0, indeterminate = 0;  // calls that a death answered
        std::string last_reason;                    // "killed by SIGSYS (socket)"; empty: none died
        base::MonoTime open_until;                  // no new process before; zero: not resting
    };
    View view() const {
        return view_.With([](const View& view) { return view; });
    }
    template <class F>
    void Change(F&& f) {
        view_.With(std::forward<F>(f));
    }

private:
    base::Guarded<View> view_;
};

}  // namespace opensend::plugin::worker
