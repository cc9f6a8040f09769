#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/secret.h"
#include "kernel/model/ids.h"

namespace opensend::domains {

/// A name that a tenant sends from. Keys are sealed texts.
struct Domain {
    model::DomainId id;
    std::string name;  // A-label
    std::string status = "not_started";
    std::optional<std::string> status_reason;
    bool sending_verified = false;
    bool receiving_verified = false;
    bool forced = false;  // an operator vouched for it (DOM-24)
    std::string region = "us-east-1";
    std::string sending = "enabled";
    std::string receiving = "disabled";
    bool open_tracking = false;
    bool click_tracking = false;
    std::optional<std::string> tracking_subdomain;
    bool reply_tracking = false;
    std::string tls = "opportunistic";
    std::string return_path = "send";
    std::string selector;
    std::string dkim_private_rsa, dkim_private_ed25519;  // sealed
    std::string dkim_public_rsa, dkim_public_ed25519;    // base64 for the records
    base::Time created_at;
    std::optional<base::Time> last_checked_at;
};

/// One record to publish (platform.md 11.2).
struct DnsRecord {
    std::string record, name, fqdn, type, status, value;
    std::optional<int> priority;
    bool required = true;
};

/// What the installation adds to the record set.
struct RecordSources {
    std::string inbound_mx_host;   // inbound.mx_host
    std::vector<std::string> spf;  // transport.<n>.spf values
    std::string tracking_cname_target;
};

/// The records of a domain with their status, in the order they are shown.
std::vector<DnsRecord> PlanRecords(const Domain& domain, const RecordSources& sources);

}  // namespace opensend::domains
