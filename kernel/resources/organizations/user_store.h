#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::organizations {

/// A person who may be a member of organizations (ORG-20).
struct User {
    model::UserId id;
    std::string email;      // as given
    std::string email_key;  // see UserKey
    std::string name;
    std::optional<std::string> password_hash;  // PHC string
    int64_t auth_epoch = 1;                    // raised to end every session
    std::string state = "active";              // active, disabled
    base::Time created_at;
};

/// The form in which addresses of users are compared: NFKC, lower case, A-label domain. nullopt:
/// not an address.
std::optional<std::string> UserKey(std::string_view email);

/// Users belong to no tenant: connections of all tenants only.
class UserStore {
public:
    /// Throws Conflict, reason "user_already_exists", when the address is taken.
    static void Insert(db::Session& tx, const User& user);
    static std::optional<User> Find(db::Session& session, const model::UserId& id);
    static std::optional<User> FindByKey(db::Session& session, const std::string& email_key);
    static std::vector<User> List(db::Session& session);
    /// Both end every session of the user.
    static void SetState(db::Session& tx, const model::UserId& id, const std::string& state);
    static void SetPassword(db::Session& tx, const model::UserId& id, const std::string& phc);
};

}  // namespace opensend::organizations
