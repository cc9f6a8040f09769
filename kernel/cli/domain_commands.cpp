#include <iostream>

#include "kernel/app/storage.h"
#include "kernel/base/error.h"
#include "kernel/cli/commands.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/domains/domains_api.h"
#include "kernel/resources/organizations/organization_store.h"

namespace opensend::cli {
namespace {

struct DomainFlags {
    std::string name, org = "default";
    bool own = false, force = false;
};

domains::RecordSources SourcesOf(const runtime::Config& config) {
    domains::RecordSources sources;
    sources.inbound_mx_host = config.Text("inbound.mx_host");
    sources.tracking_cname_target = config.Text("tracking.cname_target");
    return sources;
}

void PrintRecords(const domains::Domain& domain, const domains::RecordSources& sources) {
    for (const auto& record : domains::PlanRecords(domain, sources)) {
        std::cout << record.type << ' ' << record.fqdn << ' ' << record.value
                  << (record.required ? "" : "   (optional)") << '\n';
    }
}

int AddDomain(const Global& global, const DomainFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    const std::string name = domains::NormaliseName(flags.name, {});
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const auto org = organizations::OrganizationStore::Resolve(tx, flags.org);
    if (domains::DomainStore::FindByName(tx, org.id, name)) {
        throw base::Conflict("domain_already_exists", "The domain exists already.");
    }
    if (domains::DomainStore::IsHeldElsewhere(tx, org.id, name)) {
        throw base::Conflict("domain_claim_required", "Another organization holds the domain.");
    }
    domains::DomainFactory factory(storage.keyring, storage.random, storage.ids);
    domains::Domain domain = factory.Make(org.id, name, storage.clock.Now());
    domains::DomainStore::Insert(tx, org.id, domain);
    domains::AppendDomainEvent(
        tx, org.id, domain, SourcesOf(*config), model::EventId(storage.ids.Next()),
        storage.clock.Now()
    );
    if (flags.own) {
        domains::DomainStore::ForceVerified(tx, org.id, domain.id, storage.clock.Now());
    }
    tx.Commit();
    db::Reader reader(*storage.pool, db::Scope::AllTenants());
    const auto stored = domains::DomainStore::Find(reader, org.id, domain.id);
    if (!stored) throw base::NotFound("Domain");
    std::cout << "added " << stored->name << " (" << stored->status << ")\n";
    PrintRecords(*stored, SourcesOf(*config));
    return kSuccess;
}

int VerifyDomain(const Global& global, const DomainFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    if (!flags.force) {
        std::cerr << "opensend: only --force is available: checks against DNS are not part of this "
                     "version\n";
        return kPrecondition;
    }
    if (config->strict() && !flags.own) {
        std::cerr << "opensend: with a public application URL, --force needs --i-own-this-domain\n";
        return kPermission;
    }
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const auto org = organizations::OrganizationStore::Resolve(tx, flags.org);
    const auto domain =
        domains::DomainStore::FindByName(tx, org.id, domains::NormaliseName(flags.name, {}));
    if (!domain) throw base::NotFound("Domain");
    domains::DomainStore::ForceVerified(tx, org.id, domain->id, storage.clock.Now());
    tx.Commit();
    std::cout << "verified " << domain->name << '\n';
    return kSuccess;
}

int ListDomains(const Global& global, const DomainFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const auto pool = app::OpenDatabase(*config);
    db::Reader reader(*pool, db::Scope::AllTenants());
    const auto org = organizations::OrganizationStore::Resolve(reader, flags.org);
    db::PageRequest page;
    page.limit = 1000;
    for (const auto& domain : domains::DomainStore::List(reader, org.id, page).rows) {
        std::cout << domain.id.ToString() << "  " << domain.status << "  " << domain.name << '\n';
    }
    return kSuccess;
}

}  // namespace

void AddDomainCommands(CLI::App& app, Global& global, Run& run) {
    static DomainFlags flags;
    auto* domains = app.add_subcommand("domains", "Sender domains");
    domains->require_subcommand(1);
    auto* add = domains->add_subcommand("add", "Add a domain and print its records");
    add->add_option("name", flags.name, "The domain")->required();
    add->add_option("--org", flags.org, "Organization, by id or name");
    add->add_flag("--i-own-this-domain", flags.own, "Mark it verified without DNS");
    add->callback([&] { run = [&] { return AddDomain(global, flags); }; });
    auto* verify = domains->add_subcommand("verify", "Mark a domain verified");
    verify->add_option("name", flags.name, "The domain")->required();
    verify->add_option("--org", flags.org, "Organization, by id or name");
    verify->add_flag("--force", flags.force, "Without DNS");
    verify->add_flag("--i-own-this-domain", flags.own, "Needed with --force in strict mode");
    verify->callback([&] { run = [&] { return VerifyDomain(global, flags); }; });
    auto* list = domains->add_subcommand("list", "Domains of an organization");
    list->add_option("--org", flags.org, "Organization, by id or name");
    list->callback([&] { run = [&] { return ListDomains(global, flags); }; });
}

}  // namespace opensend::cli
