#pragma once

#include <memory>
#include <string>

#include "kernel/plugin/load/loader.h"
#include "kernel/plugin/worker/session.h"

namespace opensend::plugin::worker {

/// How a plugin is to be run.
struct Plan {
    std::string program;  // empty: found beside the server
    Limits limits;
    Patience patience;
    const base::Clock* clock = nullptr;
};

/// Loads the file in a process of its own to see what it is, and describes it with tables that
/// carry each call into a process for each instance. Nothing of the file runs in this process.
Checked<LoadedPlugin> Load(std::shared_ptr<PluginFile> file, const Plan& plan);

}  // namespace opensend::plugin::worker
