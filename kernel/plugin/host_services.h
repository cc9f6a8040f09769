#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <opensend/plugin.h>

#include "kernel/base/mutex.h"
#include "kernel/plugin/host.h"
#include "kernel/plugin/strand.h"
#include "kernel/plugin/timers.h"
#include "kernel/plugin/token_table.h"

namespace opensend::plugin {

/// The osp_host of one instance. Everything the plugin calls ends here; after Close() it is
/// refused.
class HostServices {
public:
    HostServices(
        const HostDeps& deps,
        std::string instance,
        bool grant_credentials,
        TokenTable& tokens,
        Strand& strand
    );
    HostServices(const HostServices&) = delete;
    HostServices& operator=(const HostServices&) = delete;

    const osp_host* table() const { return &table_; }
    /// No call is served any more; the timers of the plugin are gone when it returns.
    void Close();

    std::vector<PluginMetric> metrics() const;

private:
    friend struct ServiceTables;
    struct Metric {
        std::string name, labels;
        std::atomic<int64_t> value{0};
        std::atomic<double> sum{0};
    };
    static HostServices& Of(const osp_host* host) {
        return *static_cast<HostServices*>(host->self);
    }
    const void* Find(std::string_view id) const;
    void Log(int32_t level, osp_str text, const osp_kv* fields, uint32_t n);
    uint64_t DefineMetric(osp_str name, const osp_kv* labels, uint32_t n);
    Metric* FindMetric(uint64_t handle);
    osp_status FindCredential(
        osp_str key_ref, void (*done)(void*, osp_status, const osp_credential*) noexcept, void* ctx
    );
    Timers& PluginTimers();

    const HostDeps& deps_;
    const std::string instance_;
    const bool grant_credentials_;
    TokenTable& tokens_;
    Strand& strand_;
    osp_host table_{};
    std::atomic<bool> closed_{false};
    mutable base::Mutex mutex_;
    std::deque<Metric> metrics_ OPENSEND_GUARDED_BY(mutex_);
    std::unique_ptr<Timers> timers_ OPENSEND_GUARDED_BY(mutex_);
};

}  // namespace opensend::plugin
