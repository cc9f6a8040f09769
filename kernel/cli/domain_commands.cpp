#include <unistd.h>

#include <iostream>

#include "kernel/access/audit.h"
#include "kernel/app/storage.h"
#include "kernel/app/wiring.h"
#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/cli/commands.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/domains/claim_store.h"
#include "kernel/resources/domains/domain_factory.h"
#include "kernel/resources/domains/domain_request.h"
#include "kernel/resources/organizations/organization_store.h"

namespace opensend::cli {
namespace {

struct DomainFlags {
    std::string name, org = "default", region;
    bool own = false, force = false, split = false;
};

constexpr size_t kTxtPart = 255;
constexpr std::chrono::seconds kCommandLease{60};

/// Database, organization and domain that a command works on.
struct Target {
    Target(const runtime::Config& given, const DomainFlags& flags)
        : config(given),
          storage(config, app::Storage::Migrations::kRequire),
          catalog(app::RecordCatalogOf(config)),
          name(flags.name.empty() ? "" : domains::NormaliseName(flags.name, {})) {
        db::Reader reader(*storage.pool, db::Scope::AllTenants());
        org = organizations::OrganizationStore::Resolve(reader, flags.org);
    }
    domains::Domain Get() {
        db::Reader reader(*storage.pool, db::Scope::AllTenants());
        auto domain = domains::DomainStore::FindByName(reader, org.id, name);
        if (!domain) throw base::NotFound("Domain");
        return *domain;
    }
    domains::RecordSources sources() const { return catalog.For(org.id); }
    /// An entry about the domain, and one about the command (CLI-04).
    void Note(db::Session& tx, std::string_view action, const domains::Domain& domain) {
        access::AuditEntry entry;
        entry.tenant = org.id;
        entry.actor = {"operator", {}, base::Cat("uid ", getuid())};
        entry.origin.source = "cli";
        entry.time = storage.clock.Now();
        entry.target_type = "domain";
        entry.target_id = domain.id.ToString();
        entry.metadata = domains::AuditFacts(domain);
        entry.action = action;
        if (!action.empty()) access::Audit(tx, storage.ids, entry);
        entry.action = "operator.command";
        entry.metadata = R"({"command":"domains"})";
        access::Audit(tx, storage.ids, entry);
    }
    void Announce(
        db::Session& tx, const domains::Domain& domain, const domains::DomainEvent& event
    ) {
        domains::AppendDomainEvent(
            tx, org.id, domain, sources(), model::EventId(storage.ids.Next()), storage.clock.Now(),
            event
        );
    }

    const runtime::Config& config;
    app::Storage storage;
    domains::RecordCatalog catalog;
    std::string name;
    organizations::Organization org;
};

/// A TXT value in the quoted parts that zone files take.
std::string Quoted(const std::string& value) {
    std::string out;
    for (size_t at = 0; at < value.size(); at += kTxtPart) {
        out += base::Cat(at == 0 ? "\"" : " \"", value.substr(at, kTxtPart), '"');
    }
    return out;
}

void PrintRecords(
    const domains::Domain& domain, const domains::RecordSources& sources, bool split, bool json
) {
    for (const auto& record : domains::PlanRecords(domain, sources)) {
        const std::string value =
            split && record.type == "TXT" ? Quoted(record.value) : record.value;
        if (json) {
            json::Writer out;
            out.BeginObject().Field("record", record.record).Field("type", record.type);
            out.Field("fqdn", record.fqdn).Field("priority", record.priority);
            out.Field("value", value).Field("status", record.status);
            out.Field("required", record.required).EndObject();
            std::cout << out.Take() << '\n';
            continue;
        }
        std::cout << record.type << ' ' << record.fqdn << ' ';
        if (record.priority) std::cout << *record.priority << ' ';
        std::cout << value << "   (" << record.status << (record.required ? "" : ", optional")
                  << ")\n";
    }
}

void PrintDomain(const domains::Domain& domain, bool json) {
    if (json) {
        json::Writer out;
        domains::WriteDomain(out, domain, {}, false);
        std::cout << out.Take() << '\n';
    } else {
        std::cout << domain.id.ToString() << "  " << domain.status << "  " << domain.name << '\n';
    }
}

/// Refuses a name that another organization holds, whose rows stay locked until `tx` ends.
void RefuseHeld(db::Session& tx, const Target& target) {
    for (const auto& row : domains::DomainCheckStore::LockName(tx, target.name)) {
        if (row.held && row.tenant != target.org.id) {
            throw base::Conflict("domain_claim_required", "Another organization holds the domain.");
        }
    }
}

int AddDomain(const Global& global, const DomainFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    domains::NormaliseName(flags.name, app::OwnHosts(*config));
    Target target(*config, flags);
    const base::Time now = target.storage.clock.Now();
    domains::DomainFactory factory(
        target.storage.keyring, target.storage.random, target.storage.ids
    );
    domains::Domain wanted;
    if (!flags.region.empty()) wanted.region = flags.region;
    wanted.next_check_at = now;
    domains::Domain domain = factory.Make(target.org.id, target.name, now, wanted);
    db::Transaction tx(*target.storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    RefuseHeld(tx, target);
    if (!domains::DomainStore::Insert(tx, target.org.id, domain)) {
        throw base::Conflict("domain_already_exists", "The domain exists already.");
    }
    target.Announce(tx, domain, {});
    target.Note(tx, "domain.created", domain);
    if (flags.own) {
        domains::DomainStore::ForceVerified(tx, target.org.id, domain.id, now);
        const auto forced = domains::DomainStore::Find(tx, target.org.id, domain.id);
        target.Announce(tx, *forced, {model::EventType::kDomainUpdated, domain.status, {"status"}});
        target.Note(tx, "domain.force_verified", *forced);
    }
    tx.Commit();
    const auto stored = target.Get();
    if (!global.json) std::cout << "added " << stored.name << " (" << stored.status << ")\n";
    PrintRecords(stored, target.sources(), false, global.json);
    return kSuccess;
}

void ForceVerified(Target& target) {
    const auto before = target.Get();
    db::Transaction tx(*target.storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    RefuseHeld(tx, target);
    domains::DomainStore::ForceVerified(tx, target.org.id, before.id, target.storage.clock.Now());
    const auto forced = domains::DomainStore::Find(tx, target.org.id, before.id);
    if (!forced) throw base::NotFound("Domain");
    if (before.status != forced->status) {
        target.Announce(tx, *forced, {model::EventType::kDomainUpdated, before.status, {"status"}});
    }
    target.Note(tx, "domain.force_verified", *forced);
    tx.Commit();
}

void CheckInDns(Target& target) {
    const auto domain = target.Get();
    const std::string owner = base::HexEncode(target.storage.random.String(16));
    std::optional<domains::DomainLease> lease;
    {
        db::Transaction tx(*target.storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
        auto row = domains::DomainStore::Lock(tx, target.org.id, domain.id);
        if (!row) throw base::NotFound("Domain");
        domains::AskForCheck(*row, target.storage.clock.Now());
        domains::DomainStore::Save(tx, target.org.id, *row);
        lease = domains::DomainCheckStore::ClaimOne(
            tx, target.org.id, domain.id, owner, target.storage.clock.Now() + kCommandLease
        );
        target.Note(tx, "", *row);
        tx.Commit();
    }
    dns::Resolver::Options options;
    options.servers = target.config.List("dns.servers");
    dns::Resolver resolver(std::move(options), target.storage.clock);
    domain_checks::DomainChecker checker(
        {*target.storage.pool, resolver, target.storage.ids, target.storage.random,
         target.storage.clock, target.catalog, [] {}},
        app::CheckOptions(target.config)
    );
    if (lease) checker.CheckDomain(*lease);
}

int VerifyDomain(const Global& global, const DomainFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    if (flags.force && config->strict() && !flags.own) {
        std::cerr << "opensend: with a public application URL, --force needs --i-own-this-domain\n";
        return kPermission;
    }
    Target target(*config, flags);
    if (flags.force) {
        ForceVerified(target);
    } else {
        CheckInDns(target);
    }
    const auto domain = target.Get();
    if (global.json) {
        PrintDomain(domain, true);
    } else {
        std::cout << domain.status << ' ' << domain.name << '\n';
    }
    if (!flags.force) PrintRecords(domain, target.sources(), false, global.json);
    return domain.status == "verified" ? kSuccess : kFoundProblems;
}

int ShowRecords(const Global& global, const DomainFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    Target target(*config, flags);
    PrintRecords(target.Get(), target.sources(), flags.split, global.json);
    return kSuccess;
}

int DeleteDomain(const Global& global, const DomainFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    Target target(*config, flags);
    const auto domain = target.Get();
    db::Transaction tx(*target.storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    domains::CancelClaim(tx, target.org.id, domain.id);
    if (!domains::DomainStore::Delete(tx, target.org.id, domain.id)) {
        throw base::NotFound("Domain");
    }
    target.Announce(tx, domain, {model::EventType::kDomainDeleted, {}, {}});
    target.Note(tx, "domain.deleted", domain);
    tx.Commit();
    std::cout << "deleted " << domain.name << '\n';
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
        PrintDomain(domain, global.json);
    }
    return kSuccess;
}

}  // namespace

void AddDomainCommands(CLI::App& app, Global& global, Run& run) {
    static DomainFlags flags;
    auto* domains = app.add_subcommand("domains", "Sender domains");
    domains->require_subcommand(1);
    const auto command = [&](const char* name, const char* help, bool named, auto action) {
        auto* made = domains->add_subcommand(name, help);
        if (named) made->add_option("name", flags.name, "The domain")->required();
        made->add_option("--org", flags.org, "Organization, by id or name");
        made->callback([&, action] { run = [&, action] { return action(global, flags); }; });
        return made;
    };
    auto* add = command("add", "Add a domain and print its records", true, AddDomain);
    add->add_option("--region", flags.region, "Region label");
    add->add_flag("--i-own-this-domain", flags.own, "Mark it verified without DNS");
    auto* verify =
        command("verify", "Look the records up and print their status", true, VerifyDomain);
    verify->add_flag("--force", flags.force, "Mark it verified without DNS");
    verify->add_flag("--i-own-this-domain", flags.own, "Needed with --force in strict mode");
    auto* records = command("records", "Records to publish", true, ShowRecords);
    records->add_flag("--split", flags.split, "TXT values in quoted parts of 255 octets");
    command("delete", "Delete a domain", true, DeleteDomain);
    command("list", "Domains of an organization", false, ListDomains);
}

}  // namespace opensend::cli
