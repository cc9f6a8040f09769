#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernel/app/api_plane.h"
#include "kernel/app/shared.h"
#include "kernel/app/work_plane.h"
#include "kernel/listeners/admin/admin_api.h"
#include "kernel/listeners/api/health_api.h"
#include "kernel/listeners/control/control_socket.h"
#include "kernel/runtime/reload_list.h"
#include "kernel/runtime/worker.h"
#include "kernel/workers/nodes/heartbeat.h"

namespace opensend::app {

/// The server: what all roles share and the planes of the roles it has. The members are the
/// dependency order, C++ destroys in reverse.
class App {
public:
    /// How the configuration is read again.
    using ReadConfig =
        std::function<base::Result<runtime::Config, std::vector<runtime::ConfigProblem>>()>;
    /// Opens, loads, binds; ready on return. Throws base::Error.
    App(const runtime::Config& config,
        const std::set<std::string>& roles,
        bool migrate,
        ReadConfig read_config = {});
    ~App();

    uint16_t api_port() const;
    const plugin::Host& plugins() const { return *shared_.plugins; }
    /// Reads the configuration again and puts what may change into effect (PROC-25); one that is
    /// refused changes nothing. A report in JSON: "ok", "problems", "plugins". Any thread.
    std::string Reload();
    /// Stops accepting and lets requests in flight end (PROC-23).
    void Drain(std::chrono::milliseconds grace);

private:
    void Housekeep();
    void StartHeartbeat(const std::set<std::string>& roles);
    void StartAdmin();
    void AddReloads();
    std::vector<health::Check> MoreChecks() const;
    std::vector<health::Job> Jobs() const;

    const ReadConfig read_config_;
    runtime::ReloadList reloads_;
    base::Mutex reload_mutex_;
    std::vector<plugin::ReloadLine> last_reload_;  // of the reload under way
    std::optional<ProcessLock> lock_;
    Shared shared_;
    std::unique_ptr<nodes::Heartbeat> heartbeat_;
    std::unique_ptr<health::HealthMonitor> monitor_;
    std::unique_ptr<health::HealthApi> health_api_;
    std::unique_ptr<WorkPlane> work_;
    std::unique_ptr<ApiPlane> api_;
    std::unique_ptr<runtime::Worker> housekeeping_;
    std::unique_ptr<admin::AdminApi> admin_api_;
    api::Router admin_router_;
    std::unique_ptr<api::Filters> admin_filters_;
    std::unique_ptr<http::Server> admin_server_;
    std::unique_ptr<control::ControlSocket> control_;
};

}  // namespace opensend::app
