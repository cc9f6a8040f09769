// For tests of plugins: a host with a clock that the test moves, and a shared object loaded by
// path.
#pragma once

#include <dlfcn.h>

#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <opensend/plugin.hpp>

namespace osp::testing {

/// Answers the services a plugin asks for from plain members. Completions are passed to
/// `on_complete`, or only counted.
class FakeHost {
public:
    FakeHost() {
        table_ = {sizeof table_, OSP_MAGIC,     OSP_ABI_MAJOR, OSP_ABI_MINOR, 0,    "fake", "1",
                  this,          &GetInterface, &Complete,     &Log,          &Now, &UnixMs};
    }
    FakeHost(const FakeHost&) = delete;
    FakeHost& operator=(const FakeHost&) = delete;
    const osp_host* table() const { return &table_; }

    osp_time now_ns = 1'000'000'000;
    int64_t unix_ms = 1'767'225'600'000;
    std::map<std::string, std::string> secrets;
    std::function<void(osp_token, const osp_completion&)> on_complete;
    size_t completions = 0;
    std::vector<std::string> log_lines;
    /// Tables that get_interface gives out besides the secrets, by id.
    std::map<std::string, const void*> services;
    /// For the tables above.
    void* context = nullptr;

    static FakeHost& Of(const osp_host* host) { return *static_cast<FakeHost*>(host->self); }

private:
    static const void* GetInterface(const osp_host* host, const char* id) noexcept {
        FakeHost& self = Of(host);
        if (std::strcmp(id, OSP_HOST_SECRET) == 0) return &kSecrets;
        const auto found = self.services.find(id);
        return found == self.services.end() ? nullptr : found->second;
    }
    static osp_status Complete(
        const osp_host* host, osp_token token, const osp_completion* completion
    ) noexcept {
        FakeHost& self = Of(host);
        const std::lock_guard lock(self.mutex_);
        ++self.completions;
        if (self.on_complete) self.on_complete(token, *completion);
        return OSP_OK;
    }
    static void Log(const osp_host* host, int32_t, osp_str text, const osp_kv*, uint32_t) noexcept {
        const std::lock_guard lock(Of(host).mutex_);
        Of(host).log_lines.emplace_back(View(text));
    }
    static osp_time Now(const osp_host* host) noexcept { return Of(host).now_ns; }
    static int64_t UnixMs(const osp_host* host) noexcept { return Of(host).unix_ms; }
    static osp_status With(
        const osp_host* host, osp_str ref, void (*use)(void*, osp_bytes) noexcept, void* ctx
    ) noexcept {
        const auto found = Of(host).secrets.find(std::string(View(ref)));
        if (found == Of(host).secrets.end()) return OSP_E_NOTFOUND;
        use(ctx, Bytes(found->second));
        return OSP_OK;
    }
    static osp_status Watch(const osp_host*, osp_str, void (*)(void*) noexcept, void*) noexcept {
        return OSP_OK;
    }
    static constexpr osp_host_secret_v1 kSecrets{sizeof(osp_host_secret_v1), 0, With, Watch};

    osp_host table_{};
    std::mutex mutex_;
};

/// A shared object and one of its kinds. Throws std::runtime_error when that does not work.
class Plugin {
public:
    Plugin(const std::string& path, const std::string& kind_name) {
        void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        void* symbol = handle == nullptr ? nullptr : dlsym(handle, "osp_plugin_v1");
        if (symbol == nullptr) throw std::runtime_error(dlerror());
        const osp_plugin* plugin = reinterpret_cast<const osp_plugin* (*)()>(symbol)();
        for (uint32_t i = 0; i < plugin->n_kinds; ++i) {
            if (kind_name == plugin->kinds[i]->name) kind_ = plugin->kinds[i];
        }
        if (kind_ == nullptr) throw std::runtime_error("no kind " + kind_name);
    }
    template <class Table>
    const Table& table() const {
        return *static_cast<const Table*>(kind_->table);
    }
    const osp_instance_vt& instance() const { return *kind_->instance; }

private:
    const osp_kind* kind_ = nullptr;
};

/// A started instance; stopped and destroyed at the end.
class Running {
public:
    Running(const Plugin& plugin, const FakeHost& host, std::string_view config = "{}")
        : vt_(plugin.instance()) {
        osp_error error{};
        error.size = sizeof error;
        osp_create_args args{};
        args.size = sizeof args;
        args.host = host.table();
        args.instance = Str("test");
        args.config = Str(config);
        status_ = vt_.create(&args, &inst_, &error);
        if (status_ == OSP_OK) status_ = vt_.start(inst_, &error);
        text_.assign(error.msg, error.msg_len);
    }
    ~Running() {
        if (inst_ == nullptr) return;
        vt_.stop(inst_);
        vt_.destroy(inst_);
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    osp_inst* raw() const { return inst_; }
    osp_status status() const { return status_; }
    const std::string& error() const { return text_; }

private:
    const osp_instance_vt& vt_;
    osp_inst* inst_ = nullptr;
    osp_status status_ = OSP_OK;
    std::string text_;
};

}  // namespace osp::testing
