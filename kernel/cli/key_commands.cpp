#include <iostream>

#include "kernel/app/storage.h"
#include "kernel/base/cidr.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/cli/commands.h"
#include "kernel/cli/operator.h"
#include "kernel/crypto/api_key.h"
#include "kernel/db/transaction.h"
#include "kernel/json/writer.h"
#include "kernel/resources/api_keys/api_keys_api.h"
#include "kernel/resources/domains/domain_store.h"
#include "kernel/resources/organizations/organization_store.h"
#include "kernel/runtime/settings/values.h"

namespace opensend::cli {
namespace {

using api_keys::ApiKey;
using api_keys::ApiKeyStore;
using organizations::Organization;
using organizations::OrganizationStore;

struct KeyFlags {
    std::string org = "default", name = "cli", scope = "full_access", domain, expires,
                grace = "24h";
    std::vector<std::string> ids, addresses;
    bool leaked = false;
};

void AuditKey(
    db::Session& tx,
    app::Storage& storage,
    const model::TenantId& tenant,
    std::string_view action,
    const ApiKey& key
) {
    json::Writer facts;
    facts.BeginObject().Field("name", key.name).Field("permission", model::ToText(key.permission));
    facts.EndObject();
    access::Audit(
        tx, storage.ids,
        OperatorEntry(storage, tenant, action, "api_key", key.id.ToString(), facts.Take())
    );
}

base::Duration RequireSpan(std::string_view name, const std::string& text) {
    const auto span = runtime::ParseSpan(text);
    if (!span) throw base::Invalid(name, "must be a time span like 12h or 90d.");
    return *span;
}

ApiKey KeyOf(const KeyFlags& flags, base::Time now) {
    ApiKey key;
    key.name = flags.name;
    key.created_by = "operator";
    const auto permission = model::ParseKeyPermission(flags.scope);
    if (!permission) {
        throw base::Invalid("scope", "must be full_access, sending_access or read_access.");
    }
    key.permission = *permission;
    if (!flags.expires.empty()) key.expires_at = now + RequireSpan("expires", flags.expires);
    json::Writer list;
    list.BeginArray();
    for (const std::string& text : flags.addresses) {
        const auto cidr = base::ParseCidr(text);
        if (!cidr) throw base::Invalid("allow-ip", "must be a CIDR range.", "invalid_format");
        list.String(cidr->ToString());
    }
    list.EndArray();
    key.allowed_ips = list.Take();
    return key;
}

int CreateKey(const Global& global, const KeyFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    ApiKey key = KeyOf(flags, storage.clock.Now());
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const Organization org = OrganizationStore::Resolve(tx, flags.org);
    if (!flags.domain.empty()) {
        const auto domain = domains::DomainStore::FindByName(tx, org.id, flags.domain);
        if (!domain) throw base::NotFound("Domain");
        key.domain = domain->id;
    }
    const auto minted = api_keys::Mint(key, *storage.instance_keys, storage.ids, storage.random);
    ApiKeyStore::Insert(tx, org.id, minted.key, minted.credential, storage.clock.Now());
    AuditKey(tx, storage, org.id, "api_key.created", minted.key);
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
    for (const auto& key : ApiKeyStore::List(reader, org.id, page).rows) {
        std::cout << key.id.ToString() << "  " << key.token_preview << "  "
                  << model::ToText(key.permission) << "  " << key.name << "  last used "
                  << (key.last_used_at ? base::FormatIso(*key.last_used_at) : "never") << '\n';
    }
    return kSuccess;
}

model::ApiKeyId RequireId(const std::string& text) {
    const auto id = model::ApiKeyId::Parse(text);
    if (!id) throw base::NotFound("API key");
    return *id;
}

int RotateKey(const Global& global, const KeyFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    const base::Duration grace = RequireSpan("grace", flags.grace);
    const base::Time now = storage.clock.Now();
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const Organization org = OrganizationStore::Resolve(tx, flags.org);
    const auto key = ApiKeyStore::Find(tx, org.id, RequireId(flags.ids.front()));
    if (!key) throw base::NotFound("API key");
    const auto minted = api_keys::Mint(*key, *storage.instance_keys, storage.ids, storage.random);
    ApiKeyStore::Rotate(tx, org.id, minted.key, minted.credential, now, now + grace);
    AuditKey(tx, storage, org.id, "api_key.rotated", *key);
    tx.Commit();
    std::cout << minted.token.Reveal() << '\n';
    return kSuccess;
}

/// The key of a token on standard input, whichever organization has it.
std::pair<model::TenantId, model::ApiKeyId> FindLeaked(db::Session& session) {
    std::string line;
    std::getline(std::cin, line);
    const auto token = crypto::ParseApiKey(base::Trim(line));
    if (!token) throw base::Invalid("token", "is not a key of this product.", "invalid_format");
    const auto found = ApiKeyStore::FindByRef(session, std::string(token->ref));
    if (!found) throw base::NotFound("API key");
    return *found;
}

int RevokeKeys(const Global& global, const KeyFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    if (flags.leaked != flags.ids.empty()) {
        throw base::Invalid("id", "give either ids or --leaked with the token on standard input.");
    }
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    std::vector<std::pair<model::TenantId, model::ApiKeyId>> keys;
    if (flags.leaked) {
        keys.push_back(FindLeaked(tx));
    } else {
        const Organization org = OrganizationStore::Resolve(tx, flags.org);
        for (const std::string& text : flags.ids) keys.emplace_back(org.id, RequireId(text));
    }
    for (const auto& [tenant, id] : keys) {
        const auto key = ApiKeyStore::Find(tx, tenant, id);
        if (!key || !ApiKeyStore::Revoke(tx, tenant, id, storage.clock.Now())) {
            throw base::NotFound("API key");
        }
        AuditKey(tx, storage, tenant, "api_key.deleted", *key);
    }
    tx.Commit();
    std::cout << "revoked " << keys.size() << '\n';
    return kSuccess;
}

}  // namespace

void AddKeyCommands(CLI::App& app, Global& global, Run& run) {
    static KeyFlags flags;
    const char* const org_help = "Organization, by id or name";
    auto* keys = app.add_subcommand("keys", "API keys");
    keys->require_subcommand(1);
    auto* create = keys->add_subcommand("create", "Mint a key; prints only the token");
    create->add_option("--org", flags.org, org_help);
    create->add_option("--name", flags.name, "What it is for");
    create->add_option("--scope", flags.scope, "full_access, sending_access or read_access");
    create->add_option("--domain", flags.domain, "Restrict to one domain");
    create->add_option("--expires", flags.expires, "Ends after this time, like 90d");
    create->add_option("--allow-ip", flags.addresses, "Works only from this range; repeatable");
    create->callback([&] { run = [&] { return CreateKey(global, flags); }; });
    auto* list = keys->add_subcommand("list", "Live keys");
    list->add_option("--org", flags.org, org_help);
    list->callback([&] { run = [&] { return ListKeys(global, flags); }; });
    auto* rotate = keys->add_subcommand("rotate", "A new token for a key; prints only the token");
    rotate->add_option("--org", flags.org, org_help);
    rotate->add_option("--grace", flags.grace, "How long the old token still works, like 24h");
    rotate->add_option("id", flags.ids, "Key id")->required()->expected(1);
    rotate->callback([&] { run = [&] { return RotateKey(global, flags); }; });
    auto* revoke = keys->add_subcommand("revoke", "End keys at once");
    revoke->add_option("--org", flags.org, org_help);
    revoke->add_flag("--leaked", flags.leaked, "The key of the token on standard input");
    revoke->add_option("id", flags.ids, "Key ids");
    revoke->callback([&] { run = [&] { return RevokeKeys(global, flags); }; });
}

}  // namespace opensend::cli
