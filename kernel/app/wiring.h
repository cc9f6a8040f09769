#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/access/rate_gate.h"
#include "kernel/base/cidr.h"
#include "kernel/egress/guard.h"
#include "kernel/plugin/host.h"
#include "kernel/plugin/kinds/answers.h"
#include "kernel/resources/domains/dns_plan.h"
#include "kernel/runtime/config.h"
#include "kernel/workers/delivery/pacer.h"
#include "kernel/workers/delivery/route_planner.h"
#include "kernel/workers/domains/domain_checker.h"

namespace opensend::app {

/// True when DATABASE_URL names the embedded database.
bool IsSqlite(const runtime::Config& config);
/// The ranges among the texts; the configuration was checked before.
std::vector<base::Cidr> CidrsOf(const std::vector<std::string>& texts);
/// The buckets that requests pay, with their numbers.
std::map<std::string, access::BucketNumbers, std::less<>> RateNumbersOf(
    const runtime::Config& config
);
std::vector<delivery::RouteGroup> RouteGroupsOf(const runtime::Config& config);
std::map<std::string, delivery::Pace> PacesOf(const runtime::Config& config);
/// The operator's rules on what answers of transports mean.
plugin::AnswerBoard::Rules AnswersOf(const runtime::Config& config);
/// The rules for outbound URLs that the configuration gives.
egress::Rules EgressRulesOf(const runtime::Config& config);
/// What the operator asks of every plugin file.
std::shared_ptr<const plugin::GatePolicy> PluginPolicy(const runtime::Config& config);
/// Host part of an application URL; empty when it is none.
std::string HostOf(const std::string& url);
/// What the configured transports and names add to the records of domains.
domains::RecordCatalog RecordCatalogOf(const runtime::Config& config);
/// How domains are checked.
domain_checks::DomainChecker::Options CheckOptions(const runtime::Config& config);
/// Names of this installation, which no tenant may add as a domain (DOM-01).
std::vector<std::string> OwnHosts(const runtime::Config& config);
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
