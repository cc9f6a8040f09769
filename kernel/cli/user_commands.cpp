#include <iostream>

#include "kernel/app/storage.h"
#include "kernel/base/error.h"
#include "kernel/cli/commands.h"
#include "kernel/cli/operator.h"
#include "kernel/crypto/password.h"
#include "kernel/db/transaction.h"
#include "kernel/json/writer.h"
#include "kernel/resources/organizations/member_store.h"
#include "kernel/resources/organizations/organization_store.h"
#include "kernel/resources/organizations/user_store.h"

namespace opensend::cli {
namespace {

using organizations::Member;
using organizations::MemberStore;
using organizations::OrganizationStore;
using organizations::User;
using organizations::UserStore;

struct UserFlags {
    std::string email, name, org = "default", role = "member";
    bool owner = false;
};

std::string RequireKey(const std::string& email) {
    const auto key = organizations::UserKey(email);
    if (!key) throw base::Invalid("email", "is not an email address.", "invalid_email");
    return *key;
}

User RequireUser(db::Session& session, const std::string& email) {
    const auto user = UserStore::FindByKey(session, RequireKey(email));
    if (!user) throw base::NotFound("User");
    return *user;
}

model::Role RequireRole(const std::string& text) {
    const auto role = model::ParseRole(text);
    if (!role) throw base::Invalid("role", "must be owner, admin, member or viewer.");
    return *role;
}

std::string UserFacts(const User& user, std::string_view role = {}) {
    json::Writer out;
    out.BeginObject().Field("email", user.email);
    if (!role.empty()) out.Field("role", role);
    out.EndObject();
    return out.Take();
}

void Join(
    db::Session& tx,
    app::Storage& storage,
    const model::TenantId& tenant,
    const model::UserId& user,
    model::Role role
) {
    Member member;
    member.id = model::MemberId(storage.ids.Next());
    member.user = user;
    member.role = role;
    member.created_at = storage.clock.Now();
    MemberStore::Insert(tx, tenant, member);
}

int CreateUser(const Global& global, const UserFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    const model::Role role = flags.owner ? model::Role::kOwner : RequireRole(flags.role);
    User user;
    user.id = model::UserId(storage.ids.Next());
    user.email = flags.email;
    user.email_key = RequireKey(flags.email);
    user.name = flags.name.empty() ? flags.email.substr(0, flags.email.rfind('@')) : flags.name;
    user.created_at = storage.clock.Now();
    user.password_hash = crypto::HashPassword(
        ReadNewPassword(static_cast<size_t>(config->Int("auth.password_min")), user.email_key)
    );
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const auto org = OrganizationStore::Resolve(tx, flags.org);
    UserStore::Insert(tx, user);
    Join(tx, storage, org.id, user.id, role);
    access::Audit(
        tx, storage.ids,
        OperatorEntry(
            storage, org.id, "user.created", "user", user.id.ToString(),
            UserFacts(user, model::ToText(role))
        )
    );
    tx.Commit();
    std::cout << user.id.ToString() << '\n';
    return kSuccess;
}

int ListUsers(const Global& global) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const auto pool = app::OpenDatabase(*config);
    db::Reader reader(*pool, db::Scope::AllTenants());
    const auto orgs = OrganizationStore::List(reader);
    for (const User& user : UserStore::List(reader)) {
        std::cout << user.id.ToString() << "  " << user.state << "  " << user.email;
        for (const auto& org : orgs) {
            const auto member = MemberStore::Find(reader, org.id, user.id);
            if (member) std::cout << "  " << org.name << ':' << model::ToText(member->role);
        }
        std::cout << '\n';
    }
    return kSuccess;
}

/// Writes one entry into the log of every organization of the user.
void AuditEverywhere(
    db::Session& tx, app::Storage& storage, const User& user, std::string_view action
) {
    for (const auto& org : OrganizationStore::List(tx)) {
        if (!MemberStore::Find(tx, org.id, user.id)) continue;
        access::Audit(
            tx, storage.ids,
            OperatorEntry(storage, org.id, action, "user", user.id.ToString(), UserFacts(user))
        );
    }
}

int SetUserState(const Global& global, const UserFlags& flags, const std::string& state) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const User user = RequireUser(tx, flags.email);
    if (state == "disabled") {
        for (const auto& tenant : MemberStore::OwnedBy(tx, user.id)) {
            MemberStore::RequireOtherOwner(tx, tenant, user.id);
        }
    }
    UserStore::SetState(tx, user.id, state);
    AuditEverywhere(tx, storage, user, state == "disabled" ? "user.disabled" : "user.enabled");
    tx.Commit();
    std::cout << user.email << " is " << state << '\n';
    return kSuccess;
}

int ResetPassword(const Global& global, const UserFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    const std::string phc = crypto::HashPassword(ReadNewPassword(
        static_cast<size_t>(config->Int("auth.password_min")), RequireKey(flags.email)
    ));
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const User user = RequireUser(tx, flags.email);
    UserStore::SetPassword(tx, user.id, phc);
    AuditEverywhere(tx, storage, user, "user.password_reset");
    tx.Commit();
    std::cout << "the password of " << user.email << " is set; every session ended\n";
    return kSuccess;
}

int SetRole(const Global& global, const UserFlags& flags, model::Role role) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const auto org = OrganizationStore::Resolve(tx, flags.org);
    const User user = RequireUser(tx, flags.email);
    if (MemberStore::Find(tx, org.id, user.id)) {
        MemberStore::SetRole(tx, org.id, user.id, role, storage.clock.Now());
    } else {
        Join(tx, storage, org.id, user.id, role);
    }
    access::Audit(
        tx, storage.ids,
        OperatorEntry(
            storage, org.id, "member.role_changed", "user", user.id.ToString(),
            UserFacts(user, model::ToText(role))
        )
    );
    tx.Commit();
    std::cout << user.email << " is " << model::ToText(role) << " of " << org.name << '\n';
    return kSuccess;
}

int RemoveMember(const Global& global, const UserFlags& flags) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    app::Storage storage(*config, app::Storage::Migrations::kRequire);
    db::Transaction tx(*storage.pool, db::Plane::kDashboard, db::Scope::AllTenants());
    const auto org = OrganizationStore::Resolve(tx, flags.org);
    const User user = RequireUser(tx, flags.email);
    MemberStore::Remove(tx, org.id, user.id);
    access::Audit(
        tx, storage.ids,
        OperatorEntry(
            storage, org.id, "member.removed", "user", user.id.ToString(), UserFacts(user)
        )
    );
    tx.Commit();
    std::cout << user.email << " is no member of " << org.name << '\n';
    return kSuccess;
}

void AddUsers(CLI::App& app, Global& global, Run& run, UserFlags& flags) {
    auto* users = app.add_subcommand("users", "People who sign in");
    users->require_subcommand(1);
    users->add_subcommand("list", "All users with their roles")->callback([&] {
        run = [&] { return ListUsers(global); };
    });
    auto* create = users->add_subcommand(
        "create",
        "A new user; the password comes from the prompt "
        "or the first line of standard input"
    );
    create->add_option("--email", flags.email, "Address")->required();
    create->add_option("--name", flags.name, "Name");
    create->add_option("--org", flags.org, "Organization, by id or name");
    create->add_option("--role", flags.role, "owner, admin, member or viewer");
    create->add_flag("--owner", flags.owner, "The same as --role owner");
    create->callback([&] { run = [&] { return CreateUser(global, flags); }; });
    const auto by_email = [&](const char* verb, const char* help, std::function<int()> what) {
        auto* command = users->add_subcommand(verb, help);
        command->add_option("email", flags.email, "Address")->required();
        command->callback([&run, what = std::move(what)] { run = what; });
        return command;
    };
    by_email("disable", "Ends the user's sessions and lets nobody sign in as them", [&] {
        return SetUserState(global, flags, "disabled");
    });
    by_email("enable", "Undoes disable", [&] { return SetUserState(global, flags, "active"); });
    by_email("reset-password", "Sets a new password and ends every session", [&] {
        return ResetPassword(global, flags);
    });
    by_email("make-owner", "Makes the user an owner of an organization", [&] {
        return SetRole(global, flags, model::Role::kOwner);
    })->add_option("--org", flags.org, "Organization, by id or name");
}

}  // namespace

void AddUserCommands(CLI::App& app, Global& global, Run& run) {
    static UserFlags flags;
    AddUsers(app, global, run, flags);
    auto* members = app.add_subcommand("members", "Who belongs to an organization");
    members->require_subcommand(1);
    auto* set_role = members->add_subcommand("set-role", "Adds a user or changes their role");
    set_role->add_option("email", flags.email, "Address")->required();
    set_role->add_option("role", flags.role, "owner, admin, member or viewer")->required();
    set_role->add_option("--org", flags.org, "Organization, by id or name");
    set_role->callback([&] {
        run = [&] { return SetRole(global, flags, RequireRole(flags.role)); };
    });
    auto* remove = members->add_subcommand("remove", "Takes a user out of an organization");
    remove->add_option("email", flags.email, "Address")->required();
    remove->add_option("--org", flags.org, "Organization, by id or name");
    remove->callback([&] { run = [&] { return RemoveMember(global, flags); }; });
}

}  // namespace opensend::cli
