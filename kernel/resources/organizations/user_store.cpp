#include "kernel/resources/organizations/user_store.h"

#include "kernel/base/error.h"
#include "kernel/mime/address.h"
#include "kernel/mime/idna.h"

namespace opensend::organizations {
namespace {

#define OPENSEND_USER_COLUMNS \
    "SELECT id, email, email_key, name, password_hash, auth_epoch, state, created_at FROM users"
constexpr db::Query kInsertUser{"users.insert", R"sql(
    INSERT INTO users (id, email, email_key, name, password_hash, auth_epoch, state, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (email_key) DO NOTHING)sql"};
constexpr db::Query kFindUser{"users.find", OPENSEND_USER_COLUMNS " WHERE id = $1"};
constexpr db::Query kFindUserByKey{
    "users.find_by_key", OPENSEND_USER_COLUMNS " WHERE email_key = $1"};
constexpr db::Query kListUsers{"users.list", OPENSEND_USER_COLUMNS " ORDER BY id"};
constexpr db::Query kSetUserState{
    "users.set_state", "UPDATE users SET state = $1, auth_epoch = auth_epoch + 1 WHERE id = $2"};
constexpr db::Query kSetPassword{
    "users.set_password",
    "UPDATE users SET password_hash = $1, auth_epoch = auth_epoch + 1 WHERE id = $2"};

User ReadUser(const db::Row& row) {
    User user;
    user.id = row.Id<model::UserId>(0);
    user.email = row.Text(1);
    user.email_key = row.Text(2);
    user.name = row.Text(3);
    user.password_hash = row.OptionalText(4);
    user.auth_epoch = row.Int(5);
    user.state = row.Text(6);
    user.created_at = row.Time(7);
    return user;
}

}  // namespace

std::optional<std::string> UserKey(std::string_view email) {
    const auto address = mime::ParseAddress(mime::ToNfkc(email));
    return address.ok() ? std::optional(address->Key()) : std::nullopt;
}

void UserStore::Insert(db::Session& tx, const User& user) {
    const int64_t made = tx.Change(
        kInsertUser, {user.id, user.email, user.email_key, user.name, user.password_hash,
                      user.auth_epoch, user.state, user.created_at}
    );
    if (made != 1) {
        throw base::Conflict("user_already_exists", "A user with this address exists already.");
    }
}

std::optional<User> UserStore::Find(db::Session& session, const model::UserId& id) {
    const auto row = session.First(kFindUser, {id});
    return row ? std::optional(ReadUser(*row)) : std::nullopt;
}

std::optional<User> UserStore::FindByKey(db::Session& session, const std::string& email_key) {
    const auto row = session.First(kFindUserByKey, {email_key});
    return row ? std::optional(ReadUser(*row)) : std::nullopt;
}

std::vector<User> UserStore::List(db::Session& session) {
    std::vector<User> users;
    for (const db::Row& row : session.Execute(kListUsers, {})) users.push_back(ReadUser(row));
    return users;
}

void UserStore::SetState(db::Session& tx, const model::UserId& id, const std::string& state) {
    tx.Change(kSetUserState, {state, id});
}

void UserStore::SetPassword(db::Session& tx, const model::UserId& id, const std::string& phc) {
    tx.Change(kSetPassword, {phc, id});
}

}  // namespace opensend::organizations
