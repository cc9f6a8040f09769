#include "kernel/resources/domains/dns_plan.h"

#include <algorithm>

#include "kernel/base/text.h"
#include "kernel/mime/idna.h"

namespace opensend::domains {
namespace {

constexpr int kMxPriority = 10;

/// "send.mail" for send.mail.acme.dev under acme.dev; "@" for the registrable domain itself.
std::string Relative(const std::string& fqdn) {
    const std::string root = mime::RegistrableDomain(fqdn);
    if (fqdn.size() <= root.size() + 1) return "@";
    return fqdn.substr(0, fqdn.size() - root.size() - 1);
}

bool Contains(const std::vector<std::string>& list, const std::string& text) {
    return std::find(list.begin(), list.end(), text) != list.end();
}

std::string StatusOf(const Domain& domain, const DnsRecord& record) {
    for (const RecordState& state : domain.record_states) {
        if (state.type == record.type && state.fqdn == record.fqdn) return state.status;
    }
    // An operator's word stands in for a look-up that never happened.
    return domain.forced && domain.sending_verified && record.for_sending ? "verified"
                                                                          : "not_started";
}

class Plan {
public:
    explicit Plan(const Domain& domain) : domain_(domain) {}

    DnsRecord& Add(std::string kind, std::string fqdn, std::string type, std::string value) {
        DnsRecord record;
        record.record = std::move(kind);
        record.name = Relative(fqdn);
        record.fqdn = std::move(fqdn);
        record.type = std::move(type);
        record.value = std::move(value);
        record.required = false;
        records_.push_back(std::move(record));
        return records_.back();
    }
    std::vector<DnsRecord> Finish() && {
        for (DnsRecord& record : records_) {
            record.required = record.for_sending || record.for_receiving;
            record.status = StatusOf(domain_, record);
        }
        return std::move(records_);
    }

private:
    const Domain& domain_;
    std::vector<DnsRecord> records_;
};

void PlanReturnPath(Plan& plan, const Domain& domain, const RecordSources& sources) {
    const std::string name = base::Cat(domain.return_path, '.', domain.name);
    const std::string exchanger = sources.ses
                                      ? base::Cat("feedback-smtp.", domain.region, ".amazonses.com")
                                      : sources.inbound_mx_host;
    if (!exchanger.empty()) {
        DnsRecord& record = plan.Add("SPF", name, "MX", exchanger);
        record.priority = kMxPriority;
        record.for_sending = true;
    }
    std::vector<std::string> terms;
    if (sources.ses) terms.emplace_back("include:amazonses.com");
    for (const std::string& term : sources.spf) {
        if (!Contains(terms, term)) terms.push_back(term);
    }
    if (terms.empty()) return;
    const char* rest = sources.only_direct ? " -all" : " ~all";
    plan.Add("SPF", name, "TXT", base::Cat("v=spf1 ", base::Join(terms, " "), rest)).for_sending =
        true;
}

}  // namespace

RecordSources RecordCatalog::For(const model::TenantId& tenant) const {
    RecordSources sources = common_;
    std::vector<std::string> serving;
    const auto collect = [&](bool own) {
        for (const Group& group : groups_) {
            const bool wanted = own ? Contains(group.orgs, tenant.ToString()) : group.orgs.empty();
            if (!wanted) continue;
            serving.insert(serving.end(), group.transports.begin(), group.transports.end());
        }
    };
    collect(true);
    if (serving.empty()) collect(false);
    bool direct = false;
    bool relayed = false;
    for (const Transport& transport : transports_) {
        if (!serving.empty() && !Contains(serving, transport.name)) continue;
        sources.ses = sources.ses || transport.kind == "ses";
        direct = direct || transport.kind == "direct";
        relayed = relayed || (transport.kind != "ses" && transport.kind != "direct");
        if (!transport.spf.empty()) sources.spf.push_back(transport.spf);
    }
    sources.self_signed = direct || relayed || !sources.ses;
    sources.only_direct = direct && !relayed && !sources.ses;
    return sources;
}

std::vector<DnsRecord> PlanRecords(const Domain& domain, const RecordSources& sources) {
    Plan plan(domain);
    const bool sends = domain.sending == "enabled";
    const std::string receiver =
        !sources.inbound_mx_host.empty()
            ? sources.inbound_mx_host
            : (sources.ses ? base::Cat("inbound-smtp.", domain.region, ".amazonaws.com") : "");
    const bool receives = domain.receiving == "enabled" && !receiver.empty();
    if (sends) PlanReturnPath(plan, domain, sources);
    const std::string dkim = base::Cat("._domainkey.", domain.name);
    // The proof of ownership; before every other row whose value has a p= tag.
    DnsRecord& proof = plan.Add(
        "DKIM", domain.selector + dkim, "TXT",
        base::Cat("v=DKIM1; k=rsa; p=", domain.dkim_public_rsa)
    );
    proof.for_sending = sends;
    proof.for_receiving = receives;
    if (sends && sources.self_signed) {
        plan.Add(
            "DKIM", base::Cat(domain.selector, "-ed", dkim), "TXT",
            base::Cat("v=DKIM1; k=ed25519; p=", domain.dkim_public_ed25519)
        );
    }
    if (sends) plan.Add("DMARC", base::Cat("_dmarc.", domain.name), "TXT", "v=DMARC1; p=none;");
    if (domain.tracking_subdomain && !sources.tracking_cname_target.empty()) {
        plan.Add(
            "Tracking", base::Cat(*domain.tracking_subdomain, '.', domain.name), "CNAME",
            sources.tracking_cname_target
        );
    }
    if (receives) {
        DnsRecord& record = plan.Add("Receiving", domain.name, "MX", receiver);
        record.priority = kMxPriority;
        record.for_receiving = true;
    }
    return std::move(plan).Finish();
}

}  // namespace opensend::domains
