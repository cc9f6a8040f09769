#include "kernel/plugin/load/loader.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "kernel/plugin/load/import.h"
#include "kernel/plugin/load/requests.h"
#include "kernel/plugin/load/schema.h"
#include "kernel/plugin/load/snapshot.h"

namespace opensend::plugin {
namespace {

constexpr uint32_t kMaxKinds = 32;

/// A constant text of the plugin; empty when null or longer than any of ours may be.
std::string NameText(const char* text) {
    if (text == nullptr) return {};
    const size_t length = strnlen(text, 256);
    return length == 256 ? std::string() : std::string(text, length);
}

/// The schema a kind brings along, for plugins whose manifest has none.
Checked<std::string> ImportSchema(const osp_kind& kind, const std::string& label) {
    if (kind.config_schema == nullptr) return std::string();
    return TakeSchema({kind.config_schema, strnlen(kind.config_schema, kMaxSchema + 1)}, label);
}

std::string LoadError() {
    const char* text = dlerror();
    std::string out = text == nullptr ? "no reason" : text;
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < ' ' || c == 127; }, ' '
    );
    return out.substr(0, 300);
}

Checked<LoadedKind> ImportKind(const osp_kind* source) {
    osp_kind kind{};
    if (!Import(source, OPENSEND_SIZE_THROUGH(osp_kind, table), kind))
        return Refuse("kinds", "a description with interface, name and tables", "a shorter one");
    LoadedKind out{NameText(kind.iface), NameText(kind.name), {}, kind.table};
    const std::string label = base::Cat(out.iface, ":", out.name);
    auto schema = ImportSchema(kind, label);
    if (!schema.ok()) return base::Failure{schema.error()};
    out.schema = std::move(*schema);
    if (out.iface.empty() || out.name.empty())
        return Refuse("kinds", "interface and name", "an empty one");
    if (!Import(kind.instance, OPENSEND_SIZE_THROUGH(osp_instance_vt, create), out.instance))
        return Refuse("kinds", base::Cat("an instance table of ", label), "none");
    if (out.instance.create == nullptr || out.instance.destroy == nullptr)
        return Refuse("kinds", base::Cat("create and destroy of ", label), "an empty slot");
    if (kind.table == nullptr) return Refuse("kinds", base::Cat("a table of ", label), "none");
    FillSuccess(out.instance.start);
    FillSuccess(out.instance.drain);
    FillNothing(out.instance.stop);
    FillUnsupported(out.instance.health);
    FillUnsupported(out.instance.reconfigure);
    return out;
}

std::optional<Problem> CheckDescriptor(const osp_plugin& plugin) {
    if (plugin.magic != OSP_MAGIC)
        return Problem{"descriptor", "the magic number OSP1", "another one"};
    if (plugin.abi_major != OSP_ABI_MAJOR)
        return Problem{
            "descriptor", base::Cat("ABI major ", OSP_ABI_MAJOR),
            base::Cat("major ", plugin.abi_major)};
    if (plugin.kinds == nullptr || plugin.n_kinds == 0 || plugin.n_kinds > kMaxKinds)
        return Problem{"descriptor", "1 to 32 kinds", base::Cat(plugin.n_kinds)};
    return std::nullopt;
}

/// What the file said before it was loaded must be what it says now.
std::optional<Problem> CompareWithNote(
    const osp_plugin& plugin, const LoadedPlugin& loaded, const PluginFile& file
) {
    std::vector<std::string> kinds;
    for (const LoadedKind& kind : loaded.kinds)
        kinds.push_back(base::Cat(kind.iface, ":", kind.name));
    const std::string rows[][3] = {
        {"id",                         file.manifest().id,               loaded.id                         },
        {"version",                    file.manifest().version,          loaded.version                    },
        {"kinds",                      base::Join(file.manifest().kinds, " "),                               base::Join(kinds, " ")},
        {"ABI minor",                        base::Cat(file.note().abi_minor),                                                        base::Cat(plugin.abi_minor)                                                                               },
        {"host minor", base::Cat(file.note().min_host_minor),base::Cat(plugin.min_host_minor)},
    };
    for (const auto& row : rows) {
        if (row[1] != row[2])
            return Problem{"descriptor", base::Cat("the manifest's ", row[0], " ", row[1]), row[2]};
    }
    return std::nullopt;
}

/// Maps the file and looks whether its constructors left the process as it was.
Checked<void*> MapFile(PluginFile& file) {
    const std::string path = base::Cat("/proc/self/fd/", file.fd());
    const Snapshot before;
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    // Where others start threads meanwhile, the scan has counted them.
    auto changed = before.Compare(!file.scanned());
    if (changed) before.Restore();
    if (handle == nullptr) return Refuse("load", "an object whose symbols resolve", LoadError());
    file.KeepOpen();
    if (changed) return base::Failure{std::move(*changed)};
    return handle;
}

Checked<LoadedPlugin> ImportPlugin(const osp_plugin& plugin, const PluginFile& file) {
    LoadedPlugin loaded{
        NameText(plugin.id), NameText(plugin.version), {}, plugin.load, plugin.unload, false};
    for (uint32_t i = 0; i < plugin.n_kinds; ++i) {
        auto kind = ImportKind(plugin.kinds[i]);
        if (!kind.ok()) return base::Failure{kind.error()};
        std::string schema = SchemaOf(file.note().json, kind->name);
        if (!schema.empty()) kind->schema = std::move(schema);
        loaded.kinds.push_back(std::move(*kind));
    }
    if (auto problem = CompareWithNote(plugin, loaded, file))
        return base::Failure{std::move(*problem)};
    FillSuccess(loaded.load);
    FillNothing(loaded.unload);
    return loaded;
}

}  // namespace

Checked<LoadedPlugin> Load(PluginFile& file) {
    const auto handle = MapFile(file);
    if (!handle.ok()) return base::Failure{handle.error()};
    void* symbol = dlsym(*handle, "osp_plugin_v1");
    if (symbol == nullptr) return Refuse("entry", "the function osp_plugin_v1", "none");
    const auto entry = reinterpret_cast<const osp_plugin* (*)() noexcept>(symbol);

    osp_plugin plugin{};
    if (!Import(entry(), OPENSEND_SIZE_THROUGH(osp_plugin, n_kinds), plugin))
        return Refuse("descriptor", "a struct of at least 76 bytes", "a shorter one");
    if (auto problem = CheckDescriptor(plugin)) return base::Failure{std::move(*problem)};
    return ImportPlugin(plugin, file);
}

}  // namespace opensend::plugin
