#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <opensend/plugin.h>

#include "kernel/base/guarded.h"
#include "kernel/base/mutex.h"
#include "kernel/plugin/grants.h"
#include "kernel/plugin/host.h"
#include "kernel/plugin/services/http_service.h"
#include "kernel/plugin/services/kv_service.h"
#include "kernel/plugin/strand.h"
#include "kernel/plugin/timers.h"
#include "kernel/plugin/token_table.h"
#include "kernel/plugin/vitals.h"

namespace opensend::plugin {

/// What an instance may read of the configuration: exchanged when that is.
struct SecretScope {
    std::string config_json;  // secrets that stand in it are its own
    SecretSource source;      // empty: that of the host
};

/// The osp_host of one instance. Everything the plugin calls ends here; after Close() it is
/// refused.
class HostServices {
public:
    HostServices(
        const HostDeps& deps,
        std::string instance,
        bool grant_credentials,
        TokenTable& tokens,
        Strand& strand,
        Vitals& vitals,
        Grants grants,
        SecretScope secrets
    );
    ~HostServices();
    HostServices(const HostServices&) = delete;
    HostServices& operator=(const HostServices&) = delete;

    const osp_host* table() const { return &table_; }
    /// Answers what is still out in the plugin's name; before stop().
    void CancelOutgoing();
    /// No call is served any more; the timers of the plugin are gone when it returns.
    void Close();
    void SetSecrets(SecretScope secrets);

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
    osp_status WithSecret(std::string_view ref, void (*use)(void*, osp_bytes) noexcept, void* ctx);
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
    Vitals& vitals_;
    const Grants grants_;
    base::Guarded<std::shared_ptr<const SecretScope>> secrets_;
    std::unique_ptr<KvService> kv_;      // null: not granted
    std::unique_ptr<HttpService> http_;  // null: not granted
    osp_host table_{};
    std::atomic<bool> closed_{false};
    mutable base::Mutex mutex_;
    std::deque<Metric> metrics_ OPENSEND_GUARDED_BY(mutex_);
    std::unique_ptr<Timers> timers_ OPENSEND_GUARDED_BY(mutex_);
};

}  // namespace opensend::plugin
