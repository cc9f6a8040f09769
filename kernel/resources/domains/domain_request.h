#pragma once

#include <string>
#include <vector>

#include "kernel/json/reader.h"
#include "kernel/resources/domains/domain.h"

namespace opensend::domains {

/// The name rules of REST 3.8 and DOM-01; throws 422 on `name`. Names equal to or below one of
/// `own_hosts` belong to the installation.
std::string NormaliseName(const std::string& input, const std::vector<std::string>& own_hosts);

/// Which fields a body may set (REST 2.6).
enum class DomainBody { kCreate = 1, kClaim, kUpdate };
/// Reads the settings into `domain`; problems are added to the reader's.
void ReadDomainSettings(
    json::ObjectReader& in,
    DomainBody body,
    const std::vector<std::string>& more_regions,
    bool strict,
    Domain& domain
);
/// Names of the settings in which the two differ, as the domain object calls them.
std::vector<std::string> ChangedSettings(const Domain& before, const Domain& after);

}  // namespace opensend::domains
