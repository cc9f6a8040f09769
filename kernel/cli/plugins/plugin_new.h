#pragma once

#include "kernel/cli/commands.h"

namespace opensend::cli {

void AddPluginNewCommand(CLI::App& plugins, Run& run);  // new

}  // namespace opensend::cli
