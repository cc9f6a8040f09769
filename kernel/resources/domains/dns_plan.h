#pragma once

#include <string>
#include <vector>

#include "kernel/model/ids.h"
#include "kernel/resources/domains/domain.h"

namespace opensend::domains {

/// One record to publish (platform.md 11.2).
struct DnsRecord {
    std::string record, name, fqdn, type, status, value;
    std::optional<int> priority;
    bool required = true;
    bool for_sending = false;    // sending is not verified without it
    bool for_receiving = false;  // receiving is not verified without it
};

/// What the installation adds to the record set of one tenant's domains.
struct RecordSources {
    std::string inbound_mx_host;   // inbound.mx_host
    std::vector<std::string> spf;  // transport.<n>.spf values
    std::string tracking_cname_target;
    bool ses = false;         // a transport of the kind ses serves the tenant
    bool self_signed = true;  // another one, which we sign for, does
    bool only_direct = false;
};

/// Which transports serve whom, as the configuration says.
class RecordCatalog {
public:
    struct Transport {
        std::string name, kind, spf;
    };
    struct Group {
        std::vector<std::string> transports, orgs;  // orgs empty: any
    };
    RecordCatalog() = default;
    RecordCatalog(
        RecordSources common, std::vector<Transport> transports, std::vector<Group> groups
    )
        : common_(std::move(common)),
          transports_(std::move(transports)),
          groups_(std::move(groups)) {}
    RecordSources For(const model::TenantId& tenant) const;

private:
    RecordSources common_;  // what does not depend on the tenant
    std::vector<Transport> transports_;
    std::vector<Group> groups_;
};

/// The records of a domain with their status, in the order they are shown.
std::vector<DnsRecord> PlanRecords(const Domain& domain, const RecordSources& sources);

}  // namespace opensend::domains
