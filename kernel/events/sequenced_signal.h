#pragma once

#include <functional>
#include <utility>

#include "kernel/base/guarded.h"

namespace opensend::events {

/// Tells a listener of this process that events got their places. Thread-safe.
class SequencedSignal {
public:
    void Notify() {
        listener_.With([](auto& listener) {
            if (listener) listener();
        });
    }
    /// Replaces the listener; an empty one ends it: none is running on return.
    void Listen(std::function<void()> listener) {
        listener_.With([&](auto& current) { current = std::move(listener); });
    }

private:
    base::Guarded<std::function<void()>> listener_;
};

}  // namespace opensend::events
