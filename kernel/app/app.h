#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernel/app/api_plane.h"
#include "kernel/app/shared.h"
#include "kernel/app/work_plane.h"
#include "kernel/listeners/api/health_api.h"
#include "kernel/runtime/worker.h"

namespace opensend::app {

/// The server: what all roles share and the planes of the roles it has. The members are the
/// dependency order, C++ destroys in reverse.
class App {
public:
    /// Opens, loads, binds; ready on return. Throws base::Error.
    App(const runtime::Config& config, const std::set<std::string>& roles, bool migrate);
    ~App();

    uint16_t api_port() const;
    const plugin::Host& plugins() const { return *shared_.plugins; }
    /// Stops accepting and lets requests in flight end (PROC-23).
    void Drain(std::chrono::milliseconds grace);

private:
    void Housekeep();
    std::vector<health::Check> MoreChecks() const;

    std::optional<ProcessLock> lock_;
    Shared shared_;
    std::unique_ptr<health::HealthMonitor> monitor_;
    std::unique_ptr<WorkPlane> work_;
    std::unique_ptr<ApiPlane> api_;
    std::unique_ptr<runtime::Worker> housekeeping_;
};

}  // namespace opensend::app
