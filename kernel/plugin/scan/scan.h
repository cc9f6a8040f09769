#pragma once

#include <string>

#include "kernel/plugin/load/gate.h"

namespace opensend::plugin {

/// Loads the file in a process of its own that may do little and not for long, and remembers what
/// came of it by content and server version. A remembered verdict is the answer without another
/// try; that nothing came in time, or that a library was missing, is not remembered. Without a scan
/// program: nothing happens.
Checked<std::string> ScanOnce(const PluginFile& file, const GatePolicy& policy);

/// The other side: loads the plugin of descriptor 3 and writes the answer to descriptor 4. Does not
/// return. The program of GatePolicy::scan_program calls it first of all.
[[noreturn]] void ScanMain();

}  // namespace opensend::plugin
