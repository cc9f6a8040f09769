#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/cidr.h"
#include "kernel/egress/guard.h"
#include "kernel/plugin/host.h"
#include "kernel/runtime/config.h"

namespace opensend::app {

/// True when DATABASE_URL names the embedded database.
bool IsSqlite(const runtime::Config& config);
/// The ranges among the texts; the configuration was checked before.
std::vector<base::Cidr> Cidrs(const std::vector<std::string>& texts);
/// The rules for outbound URLs that the configuration gives.
egress::Rules EgressRulesOf(const runtime::Config& config);
/// What the operator asks of every plugin file.
std::shared_ptr<const plugin::GatePolicy> PluginPolicy(const runtime::Config& config);
/// What the plugin host is told.
plugin::HostConfig PluginHostConfig(const runtime::Config& config);
/// A line that a plugin logs, in the server's log.
void LogPlugin(
    int level,
    const std::string& instance,
    std::string_view message,
    const std::vector<std::pair<std::string, std::string>>& fields
);

}  // namespace opensend::app
