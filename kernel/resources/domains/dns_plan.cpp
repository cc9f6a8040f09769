#include "kernel/base/text.h"
#include "kernel/mime/idna.h"
#include "kernel/resources/domains/domain.h"

namespace opensend::domains {
namespace {

/// "send.mail" for send.mail.acme.dev under acme.dev; "@" for the registrable domain itself.
std::string Relative(const std::string& fqdn) {
    const std::string root = mime::RegistrableDomain(fqdn);
    if (fqdn.size() <= root.size() + 1) return "@";
    return fqdn.substr(0, fqdn.size() - root.size() - 1);
}

}  // namespace

std::vector<DnsRecord> PlanRecords(const Domain& domain, const RecordSources& sources) {
    std::vector<DnsRecord> plan;
    const std::string checked = domain.sending_verified
                                    ? "verified"
                                    : (domain.status == "failed" ? "failed" : "not_started");
    const auto add = [&](std::string record, const std::string& fqdn, std::string type,
                         std::string value, bool required, std::optional<int> priority = {}) {
        plan.push_back(
            {std::move(record), Relative(fqdn), fqdn, std::move(type),
             required ? checked : "not_started", std::move(value), priority, required}
        );
    };
    const std::string return_path = base::Cat(domain.return_path, '.', domain.name);
    if (!sources.inbound_mx_host.empty()) {
        add("SPF", return_path, "MX", sources.inbound_mx_host, true, 10);
    }
    if (!sources.spf.empty()) {
        const std::string value = base::Cat("v=spf1 ", base::Join(sources.spf, " "), " ~all");
        add("SPF", return_path, "TXT", value, true);
    }
    const std::string dkim = base::Cat("._domainkey.", domain.name);
    add("DKIM", domain.selector + dkim, "TXT",
        base::Cat("v=DKIM1; k=rsa; p=", domain.dkim_public_rsa), true);
    add("DKIM", base::Cat(domain.selector, "-ed", dkim), "TXT",
        base::Cat("v=DKIM1; k=ed25519; p=", domain.dkim_public_ed25519), false);
    add("DMARC", base::Cat("_dmarc.", domain.name), "TXT", "v=DMARC1; p=none;", false);
    if (domain.tracking_subdomain && !sources.tracking_cname_target.empty()) {
        add("Tracking", base::Cat(*domain.tracking_subdomain, '.', domain.name), "CNAME",
            sources.tracking_cname_target, false);
    }
    if (domain.receiving == "enabled" && !sources.inbound_mx_host.empty()) {
        add("Receiving", domain.name, "MX", sources.inbound_mx_host, true, 10);
    }
    return plan;
}

}  // namespace opensend::domains
