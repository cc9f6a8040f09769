#pragma once

#include <string>

#include "kernel/plugin/worker/channel.h"
#include "kernel/plugin/worker/process.h"

namespace opensend::plugin::worker {

/// Before anything of the plugin runs: dies with the server, no core files, own namespaces where
/// the kernel gives them. Needs a process with one thread.
void Separate();

/// Leaves the reason of a death in the shared page.
void ReportDeaths(SharedPage& page);

/// Gives up everything a plugin does not need, for all threads and for good. The step that failed;
/// empty: none.
std::string Confine(const Limits& limits);

}  // namespace opensend::plugin::worker
