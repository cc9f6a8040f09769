#include <iostream>

#include "kernel/app/storage.h"
#include "kernel/base/error.h"
#include "kernel/base/time.h"
#include "kernel/cli/commands.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/api_keys/api_keys_api.h"
#include "kernel/resources/domains/domain_store.h"
#include "kernel/resources/organizations/organization_store.h"

namespace opensend::cli {
namespace {

using organizations::Organization;
using organizations::OrganizationStore;

struct KeyFlags {
    std::string org = "default", name = "cli", scope = "full_access", domain;
    std::vector<std::string> ids;
};

int CreateKey(const Global& global, const KeyFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const Organization org = OrganizationStore::Resolve(tx, flags.org);
    api_keys::ApiKey key;
    key.name = flags.name;
    const auto permission = model::ParseKeyPermission(flags.scope);
    if (!permission)
        throw base::Invalid("scope", "must be full_access, sending_access or read_access.");
    key.permission = *permission;
    if (!flags.domain.empty()) {
        const auto domain = domains::DomainStore::FindByName(tx, org.id, flags.domain);
        if (!domain) throw base::NotFound("Domain");
        key.domain = domain->id;
    }
    key.created_by = "operator";
    const auto minted = api_keys::Mint(key, *storage.instance_keys, storage.ids, storage.random);
    api_keys::ApiKeyStore::Insert(tx, org.id, minted.key, minted.credential, storage.clock.Now());
    tx.Commit();
    std::cout << minted.token.Reveal() << '\n';
    return kSuccess;
}

int ListKeys(const Global& global, const KeyFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const auto pool = app::OpenDatabase(*config);
    db::Reader reader(*pool, db::Scope::AllTenants());
    const Organization org = OrganizationStore::Resolve(reader, flags.org);
    db::PageRequest page;
    page.limit = 500;
    for (const auto& key : api_keys::ApiKeyStore::List(reader, org.id, page).rows) {
        std::cout << key.id.ToString() << "  " << key.token_preview << "  "
                  << model::ToText(key.permission) << "  " << key.name << "  last used "
                  << (key.last_used_at ? base::FormatIso(*key.last_used_at) : "never") << '\n';
    }
    return kSuccess;
}

int RevokeKeys(const Global& global, const KeyFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const auto pool = app::OpenDatabase(*config);
    base::SystemClock clock;
    db::Transaction tx(*pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const Organization org = OrganizationStore::Resolve(tx, flags.org);
    for (const std::string& text : flags.ids) {
        const auto id = model::ApiKeyId::Parse(text);
        if (!id || !api_keys::ApiKeyStore::Revoke(tx, org.id, *id, clock.Now())) {
            throw base::NotFound("API key");
        }
    }
    tx.Commit();
    std::cout << "revoked " << flags.ids.size() << '\n';
    return kSuccess;
}

int ListOrganizations(const Global& global) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const auto pool = app::OpenDatabase(*config);
    db::Reader reader(*pool, db::Scope::AllTenants());
    for (const auto& org : OrganizationStore::List(reader)) {
        std::cout << org.id.ToString() << "  " << org.state << "  " << org.name << '\n';
    }
    return kSuccess;
}

int CreateOrganization(const Global& global, const std::string& name) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    Organization org;
    org.id = model::TenantId(storage.ids.Next());
    org.name = name;
    org.created_at = storage.clock.Now();
    OrganizationStore::Insert(tx, org);
    tx.Commit();
    std::cout << org.id.ToString() << '\n';
    return kSuccess;
}

}  // namespace

void AddKeyCommands(CLI::App& app, Global& global, Run& run) {
    static KeyFlags flags;
    auto* keys = app.add_subcommand("keys", "API keys");
    keys->require_subcommand(1);
    auto* create = keys->add_subcommand("create", "Mint a key; prints only the token");
    create->add_option("--org", flags.org, "Organization, by id or name");
    create->add_option("--name", flags.name, "What it is for");
    create->add_option("--scope", flags.scope, "full_access, sending_access or read_access");
    create->add_option("--domain", flags.domain, "Restrict to one domain");
    create->callback([&] { run = [&] { return CreateKey(global, flags); }; });
    auto* list = keys->add_subcommand("list", "Live keys");
    list->add_option("--org", flags.org, "Organization, by id or name");
    list->callback([&] { run = [&] { return ListKeys(global, flags); }; });
    auto* revoke = keys->add_subcommand("revoke", "End keys at once");
    revoke->add_option("--org", flags.org, "Organization, by id or name");
    revoke->add_option("id", flags.ids, "Key ids")->required();
    revoke->callback([&] { run = [&] { return RevokeKeys(global, flags); }; });

    static std::string name;
    auto* orgs = app.add_subcommand("orgs", "Organizations");
    orgs->require_subcommand(1);
    orgs->add_subcommand("list", "All organizations")->callback([&] {
        run = [&] { return ListOrganizations(global); };
    });
    auto* create_org = orgs->add_subcommand("create", "A new organization; prints its id");
    create_org->add_option("--name", name, "Its name")->required();
    create_org->callback([&] { run = [&] { return CreateOrganization(global, name); }; });
}

}  // namespace opensend::cli
