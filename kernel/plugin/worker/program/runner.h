#pragma once

#include <memory>
#include <vector>

#include "kernel/plugin/load/loader.h"
#include "kernel/plugin/worker/process.h"
#include "kernel/plugin/worker/program/reverse_host.h"
#include "kernel/runtime/worker.h"

namespace opensend::plugin::worker {

/// The worker's side of one instance: loads the file, then does what the frames say. Its thread is
/// the strand of the instance; blocking calls run on a pool.
class Runner {
public:
    explicit Runner(Channel& channel);

    /// Loads the plugin, gives everything up that it does not need and greets the server. False: it
    /// was refused, and the greeting says why.
    bool Load(int plugin_file, const Limits& limits);
    /// Serves until the server is gone.
    void Run();

private:
    Checked<LoadedPlugin> LoadFile(int plugin_file);
    void Greet();
    void Refused(const Problem& problem);
    void Handle(const std::shared_ptr<Received>& received);
    void HandleControl(const Frame& frame, FrameKind kind);
    osp_status Create(const Frame& frame, osp_error& error);
    void Batch(const std::shared_ptr<Received>& received);
    void RunSend(const std::shared_ptr<Received>& received);
    void Acquire(const std::shared_ptr<Received>& received);
    void Answer(uint64_t id, osp_status status, const osp_error& error);
    void CompleteWith(osp_token token, osp_status status, const osp_error& error);
    void Beat();

    Channel& channel_;
    ReverseHost host_;
    Receiver calls_;
    LoadedPlugin loaded_;
    const LoadedKind* kind_ = nullptr;
    osp_inst* inst_ = nullptr;
    osp_transport_v1 transport_{};
    osp_auth_v1 auth_{};
    osp_ratelimit_v1 limiter_{};
    osp_inbound_v1 inbound_{};
    std::unique_ptr<runtime::WorkerPool> pool_;
};

}  // namespace opensend::plugin::worker
