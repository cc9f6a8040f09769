#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.h"

namespace opensend::runtime {

/// A loop that has to come round again and again.
struct Pulse {
    std::string job;
    base::Time seen;                     // when it last came round
    std::chrono::milliseconds interval;  // its pause when there is nothing to do
};

/// Says that a loop of this process came round. Thread-safe.
void Beat(std::string_view job, std::chrono::milliseconds interval, base::Time now);

/// Every job of this process that ever came round, by name. Thread-safe.
std::vector<Pulse> Pulses();

/// The jobs of both lists, each as it was last seen; by name.
std::vector<Pulse> LastSeen(std::vector<Pulse> one, const std::vector<Pulse>& other);

}  // namespace opensend::runtime
