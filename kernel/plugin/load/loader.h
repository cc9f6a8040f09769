#pragma once

#include <string>
#include <vector>

#include <opensend/plugin.h>

#include "kernel/plugin/load/gate.h"

namespace opensend::plugin {

/// One kind of a loaded plugin; tables are imported, names copied.
struct LoadedKind {
    std::string iface, name;
    osp_instance_vt instance{};
    const void* table = nullptr;
    std::string schema{};  // of its configuration, in JSON; empty: none
};

struct LoadedPlugin {
    std::string id, version;
    std::vector<LoadedKind> kinds;
    osp_status (*load)(const osp_host*, osp_error*) noexcept = nullptr;
    void (*unload)() noexcept = nullptr;  // never empty once loaded
};

/// Maps the file that passed the gate, asks for its descriptor and compares it with the manifest.
/// Refuses it when the process is not as it was before. A mapped file stays for the life of the
/// process.
Checked<LoadedPlugin> Load(PluginFile& file);

}  // namespace opensend::plugin
