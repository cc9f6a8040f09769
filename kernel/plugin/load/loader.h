#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <opensend/plugin.h>

#include "kernel/plugin/load/gate.h"
#include "kernel/plugin/worker/health.h"

namespace opensend::plugin {

/// What an instance in a process of its own is made with, beside its arguments.
struct ApartArgs {
    std::shared_ptr<worker::Health> health;
    bool threads = false;                                 // the plugin may start some
    std::function<void(base::MonoTime until)> on_rest{};  // no process before then
};

/// One kind of a loaded plugin; tables are imported, names copied.
struct LoadedKind {
    std::string iface, name;
    osp_instance_vt instance{};
    const void* table = nullptr;
    std::string schema{};  // of its configuration, in JSON; empty: none
    /// Makes an instance in a process of its own, in the place of instance.create; empty: it runs
    /// in this one.
    std::function<osp_status(const osp_create_args&, const ApartArgs&, osp_inst**, osp_error*)>
        make{};
};

struct LoadedPlugin {
    std::string id, version;
    std::vector<LoadedKind> kinds;
    osp_status (*load)(const osp_host*, osp_error*) noexcept = nullptr;
    void (*unload)() noexcept = nullptr;  // never empty once loaded
    bool apart = false;                   // it runs in processes of its own, nothing is mapped here
};

/// Maps the file that passed the gate, asks for its descriptor and compares it with the manifest.
/// Refuses it when the process is not as it was before. A mapped file stays for the life of the
/// process.
Checked<LoadedPlugin> Load(PluginFile& file);

}  // namespace opensend::plugin
