#include <iostream>

#include "kernel/app/storage.h"
#include "kernel/base/error.h"
#include "kernel/cli/commands.h"
#include "kernel/cli/operator.h"
#include "kernel/db/transaction.h"
#include "kernel/json/writer.h"
#include "kernel/resources/organizations/organization_store.h"

namespace opensend::cli {
namespace {

using organizations::Organization;
using organizations::OrganizationStore;

void PrintOrganization(const Global& global, const Organization& org) {
    if (!global.json) {
        std::cout << org.id.ToString() << "  " << org.state << "  " << org.name << '\n';
        return;
    }
    json::Writer out;
    out.BeginObject().Field("id", org.id.ToString()).Field("name", org.name);
    out.Field("state", org.state).Field("timezone", org.timezone);
    out.Field("created_at", org.created_at).EndObject();
    std::cout << out.Take() << '\n';
}

int ListOrganizations(const Global& global) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const auto pool = app::OpenDatabase(*config);
    db::Reader reader(*pool, db::Scope::AllTenants());
    for (const auto& org : OrganizationStore::List(reader)) PrintOrganization(global, org);
    return kSuccess;
}

int CreateOrganization(const Global& global, const std::string& name) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    if (name.empty() || name.size() > 100) throw base::Invalid("name", "has 1 to 100 characters.");
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    Organization org;
    org.id = model::TenantId(storage.ids.Next());
    org.name = name;
    org.created_at = storage.clock.Now();
    OrganizationStore::Insert(tx, org);
    json::Writer facts;
    facts.BeginObject().Field("name", name).EndObject();
    access::Audit(
        tx, storage.ids,
        OperatorEntry(
            storage, org.id, "organization.created", "organization", org.id.ToString(), facts.Take()
        )
    );
    tx.Commit();
    if (global.json) {
        PrintOrganization(global, org);
    } else {
        std::cout << org.id.ToString() << '\n';
    }
    return kSuccess;
}

/// ORG-09: only here an organization changes its state. `deleting` is final for the operator too:
/// keys stop at once, the rows go after the time of ORG-01.
int ChangeState(const Global& global, const std::string& which, const std::string& state) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    Organization org = OrganizationStore::Resolve(tx, which);
    if (org.state == state) {
        PrintOrganization(global, org);
        return kSuccess;
    }
    OrganizationStore::SetState(tx, org.id, state);
    const std::string action = state == "suspended" ? "organization.suspended"
                               : state == "active"  ? "organization.resumed"
                                                    : "organization.deleted";
    access::Audit(
        tx, storage.ids, OperatorEntry(storage, org.id, action, "organization", org.id.ToString())
    );
    tx.Commit();
    db::Reader reader(*storage.pool, db::Scope::AllTenants());
    PrintOrganization(global, *OrganizationStore::Find(reader, org.id));
    return kSuccess;
}

}  // namespace

void AddOrgCommands(CLI::App& app, Global& global, Run& run) {
    static std::string name, which;
    auto* orgs = app.add_subcommand("orgs", "Organizations");
    orgs->require_subcommand(1);
    orgs->add_subcommand("list", "All organizations")->callback([&] {
        run = [&] { return ListOrganizations(global); };
    });
    auto* create = orgs->add_subcommand("create", "A new organization; prints its id");
    create->add_option("--name", name, "Its name")->required();
    create->callback([&] { run = [&] { return CreateOrganization(global, name); }; });
    struct Change {
        const char* verb;
        const char* help;
        const char* state;
    };
    for (const Change& change : {
             Change{
                    "suspend", "Reading goes on, everything else stops; its mail is held",
                    "suspended"                                                                          },
             Change{
                    "resume",  "End a suspension or a deletion that has not been carried out",
                    "active"                                                                             },
             Change{"delete",  "Its keys stop at once; its data goes after 30 days",           "deleting"}
    }) {
        auto* command = orgs->add_subcommand(change.verb, change.help);
        command->add_option("organization", which, "Id or name")->required();
        command->callback([&run, &global, state = std::string(change.state)] {
            run = [&global, state] { return ChangeState(global, which, state); };
        });
    }
}

}  // namespace opensend::cli
