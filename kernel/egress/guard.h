#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/cidr.h"
#include "kernel/base/guarded.h"
#include "kernel/base/result.h"

namespace opensend::egress {

/// Reason codes of REST 3.9: "invalid_url", "blocked_protocol", "private_ip_resolved", ….
struct Refusal {
    std::string reason;
    std::string detail;  // for the operator's log, never for the tenant
};

/// A URL that passed the syntax rules (EGR-01…03), normalised.
struct Url {
    std::string url;     // scheme://host[:port]/path?query with the host as A-label
    std::string scheme;  // "http" or "https"
    std::string host;    // A-label or address text
    int port = 0;
    std::string target;                      // path and query
    std::optional<base::IpAddress> literal;  // the host is a number
};

struct Rules {
    std::vector<base::Cidr> allow;  // egress.allow_cidrs
    std::vector<int> ports = {80, 443, 8080, 8443};
    bool https_only = true;
    bool allow_loopback = false;  // evaluation mode: loopback may be in `allow`
    std::vector<int> own_ports;   // the process's listeners, refused even when allowed
};

/// Resolves a name to every address: an empty list means the name has none; nullopt: it failed.
using ResolveAll =
    std::function<std::optional<std::vector<base::IpAddress>>(const std::string& host)>;

/// The one guard for URLs that a tenant or remote party can influence (platform.md 6.6).
class Guard {
public:
    Guard(Rules rules, ResolveAll resolve);
    /// Other rules from now on. Any thread.
    void SetRules(Rules rules);
    /// Syntax, names, ports and literal addresses; no network.
    base::Result<Url, Refusal> CheckUrl(std::string_view url) const;
    struct Checked {
        Url url;
        std::vector<base::IpAddress> addresses;  // pin to these
    };
    /// CheckUrl, then one resolution, then every address.
    base::Result<Checked, Refusal> Check(std::string_view url) const;
    /// True when a connection to this address is refused.
    bool IsRefused(const base::IpAddress& address) const;

private:
    std::shared_ptr<const Rules> Current() const;
    base::Guarded<std::shared_ptr<const Rules>> rules_;
    ResolveAll resolve_;
};

}  // namespace opensend::egress
