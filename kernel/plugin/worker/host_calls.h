#pragma once

#include <functional>
#include <map>
#include <memory>

#include <opensend/plugin.h>

#include "kernel/base/mutex.h"
#include "kernel/plugin/worker/frame.h"

namespace opensend::plugin::worker {

/// A bit for each service the host may give, in kCreate.
enum ServiceBit : uint64_t {
    kMetricService = 1,
    kSecretService = 2,
    kKvService = 4,
    kTimerService = 8,
    kHttpService = 16,
    kEventService = 32,
    kIngestService = 64,
    kCredentialService = 128,
};

/// What a worker asks of the host of its instance: each kHostCall becomes a call of a service
/// table. Serve has one user at a time; callbacks may come on any thread, later, too.
class HostCalls {
public:
    using Send = std::function<void(const Frame&)>;

    explicit HostCalls(const osp_host* host);
    ~HostCalls();
    HostCalls(const HostCalls&) = delete;
    HostCalls& operator=(const HostCalls&) = delete;

    uint64_t granted() const { return granted_; }
    /// Answers one call through `reply`, and what comes later through `callback`.
    void Serve(const Received& call, const Send& reply, const Send& callback);
    void MetricAdd(uint64_t handle, int64_t value) const;
    void MetricObserve(uint64_t handle, double value) const;
    /// Ends what the worker left open, HTTP calls too; nobody calls Serve any more.
    void Close();

private:
    bool ServeStored(const Frame& call, Frame& reply, const Send& send) const;
    bool ServeRemote(
        const Frame& call, Frame& reply, osp_error& error, const Send& send, const Send& callback
    );
    void StartHttp(const Frame& call, Frame& reply, osp_error& error, void* context);
    void ServeIngest(const Frame& call, Frame& reply, osp_error& error, const Send& callback);

    const osp_host* const host_;
    const osp_host_metric_v1* metric_ = nullptr;
    const osp_host_secret_v1* secret_ = nullptr;
    const osp_host_kv_v1* kv_ = nullptr;
    const osp_host_http_v1* http_ = nullptr;
    const osp_host_event_v1* event_ = nullptr;
    const osp_host_ingest_v1* ingest_ = nullptr;
    const osp_host_credential_v1* credential_ = nullptr;
    uint64_t granted_ = 0;
    std::map<uint64_t, osp_ingest*> mails_;
    uint64_t last_mail_ = 0;
};

}  // namespace opensend::plugin::worker
