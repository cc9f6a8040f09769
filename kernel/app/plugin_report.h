#pragma once

#include <string>

#include "kernel/plugin/host.h"

namespace opensend::app {

/// What `plugins list` shows, as one JSON object: "plugins" and "instances".
std::string PluginsJson(const plugin::Host& host);

}  // namespace opensend::app
