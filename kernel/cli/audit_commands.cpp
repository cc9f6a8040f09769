#include <iostream>

#include "kernel/access/audit.h"
#include "kernel/app/storage.h"
#include "kernel/cli/commands.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/organizations/organization_store.h"

namespace opensend::cli {
namespace {

using organizations::Organization;
using organizations::OrganizationStore;

std::vector<Organization> Chosen(db::Session& session, const std::string& which) {
    if (which.empty()) return OrganizationStore::List(session);
    return {OrganizationStore::Resolve(session, which)};
}

/// AUD-04: exit 3 when a chain is broken.
int VerifyLogs(const Global& global, const std::string& which) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const auto pool = app::OpenDatabase(*config);
    db::Reader reader(*pool, db::Scope::AllTenants());
    bool intact = true;
    for (const Organization& org : Chosen(reader, which)) {
        int64_t entries = 0;
        const auto broken = access::VerifyAudit(reader, org.id, &entries);
        std::cout << org.id.ToString() << "  " << org.name << "  ";
        if (broken) {
            intact = false;
            std::cout << "broken at " << broken->sequence << ": " << broken->reason << '\n';
        } else {
            std::cout << "intact, " << entries << " entries\n";
        }
    }
    return intact ? kSuccess : kFoundProblems;
}

int ExportLogs(const Global& global, const std::string& which) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const auto pool = app::OpenDatabase(*config);
    db::Reader reader(*pool, db::Scope::AllTenants());
    for (const Organization& org : Chosen(reader, which)) {
        access::ExportAudit(reader, org.id, [](const std::string& line) {
            std::cout << line << '\n';
        });
    }
    return kSuccess;
}

}  // namespace

void AddAuditCommands(CLI::App& app, Global& global, Run& run) {
    static std::string which;
    auto* audit = app.add_subcommand("audit", "The log of who changed what");
    audit->require_subcommand(1);
    auto* verify = audit->add_subcommand("verify", "Recomputes the chains; 3 when one is broken");
    verify->add_option("--org", which, "Organization, by id or name; without it all");
    verify->callback([&] { run = [&] { return VerifyLogs(global, which); }; });
    auto* print = audit->add_subcommand("export", "Prints the entries, a JSON object a line");
    print->add_option("--org", which, "Organization, by id or name; without it all");
    print->callback([&] { run = [&] { return ExportLogs(global, which); }; });
}

}  // namespace opensend::cli
