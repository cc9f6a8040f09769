#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "kernel/base/error.h"
#include "kernel/crypto/random.h"
#include "kernel/db/migrator.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/organizations/member_store.h"
#include "kernel/resources/organizations/organization_store.h"
#include "kernel/resources/organizations/user_store.h"
#include "tests/support/temp_db.h"

namespace opensend::organizations {
namespace {

using model::Role;
using model::RouteClass;

TEST(Roles, AllowWhatTheTableSays) {
    const RouteClass classes[] = {
        RouteClass::kRead, RouteClass::kSend, RouteClass::kWrite, RouteClass::kAdmin};
    const std::pair<Role, const char*> table[] = {
        {Role::kOwner,  "1111"},
        {Role::kAdmin,  "1111"},
        {Role::kMember, "1110"},
        {Role::kViewer, "1000"}
    };
    for (const auto& [role, allowed] : table) {
        for (size_t i = 0; i < 4; ++i) {
            EXPECT_EQ(model::Allows(role, classes[i]), allowed[i] == '1') << model::ToText(role);
        }
        EXPECT_EQ(model::ParseRole(model::ToText(role)), role);
    }
    EXPECT_TRUE(model::ManagesMembers(Role::kAdmin));
    EXPECT_FALSE(model::ManagesMembers(Role::kMember));
    EXPECT_FALSE(model::OwnsOrganization(Role::kAdmin));
    EXPECT_TRUE(model::MayGive(Role::kAdmin, Role::kAdmin));
    EXPECT_FALSE(model::MayGive(Role::kAdmin, Role::kOwner));
    EXPECT_FALSE(model::ParseRole("root"));
}

TEST(UserKey, IsTheSameForEquivalentForms) {
    EXPECT_EQ(UserKey("Grace@ACME.dev"), UserKey("grace@acme.dev"));
    EXPECT_EQ(UserKey("\xEF\xBD\x87race@acme.dev"), UserKey("grace@acme.dev"));  // full-width g
    EXPECT_EQ(
        UserKey("a@b\xC3\xBC"
                "cher.example"),
        UserKey("a@xn--bcher-kva.example")
    );
    EXPECT_NE(UserKey("grace@acme.dev"), UserKey("grace+1@acme.dev"));
    EXPECT_FALSE(UserKey("grace"));
    EXPECT_FALSE(UserKey("a@b.dev, c@d.dev"));
}

class Members : public testing::TestWithParam<db::Dialect> {
protected:
    Members() : db_(GetParam()), pool_(db_.Open()) {
        db::Migrate(*pool_, base::Time{1});
        With([&](db::Session& tx) {
            for (const auto& id : {one_, two_}) {
                Organization org;
                org.id = id;
                org.name = "o";
                OrganizationStore::Insert(tx, org);
            }
        });
    }
    template <class F>
    void With(F&& f) {
        db::Transaction tx(*pool_, db::Plane::kDashboard, db::Scope::AllTenants());
        f(tx);
        tx.Commit();
    }
    model::UserId AddUser(const std::string& email) {
        User user;
        user.id = model::UserId(ids_.Next());
        user.email = email;
        user.email_key = *UserKey(email);
        With([&](db::Session& tx) { UserStore::Insert(tx, user); });
        return user.id;
    }
    void Join(const model::TenantId& tenant, const model::UserId& user, Role role) {
        Member member;
        member.id = model::MemberId(ids_.Next());
        member.user = user;
        member.role = role;
        With([&](db::Session& tx) { MemberStore::Insert(tx, tenant, member); });
    }
    template <class F>
    std::string ReasonOf(F&& f) {
        try {
            With(std::forward<F>(f));
        } catch (const base::Error& error) {
            return error.reason();
        }
        return "none";
    }

    base::SystemClock clock_;
    crypto::SystemRandom random_;
    base::UuidSource ids_{clock_, random_};
    const model::TenantId one_{ids_.Next()}, two_{ids_.Next()};
    test::TempDb db_;
    std::unique_ptr<db::Pool> pool_;
};

TEST_P(Members, AnAddressBelongsToOneUser) {
    AddUser("grace@acme.dev");
    User again;
    again.id = model::UserId(ids_.Next());
    again.email = "GRACE@acme.dev";
    again.email_key = *UserKey(again.email);
    EXPECT_EQ(
        ReasonOf([&](db::Session& tx) { UserStore::Insert(tx, again); }), "user_already_exists"
    );
}

TEST_P(Members, TheLastActiveOwnerStays) {
    const auto ada = AddUser("ada@acme.dev");
    const auto bob = AddUser("bob@acme.dev");
    Join(one_, ada, Role::kOwner);
    Join(one_, bob, Role::kMember);
    const auto demote = [&](db::Session& tx) {
        MemberStore::SetRole(tx, one_, ada, Role::kAdmin, clock_.Now());
    };
    const auto remove = [&](db::Session& tx) { MemberStore::Remove(tx, one_, ada); };
    EXPECT_EQ(ReasonOf(demote), "last_owner");
    EXPECT_EQ(ReasonOf(remove), "last_owner");
    With([&](db::Session& tx) { MemberStore::SetRole(tx, one_, bob, Role::kOwner, clock_.Now()); });
    With([&](db::Session& tx) { UserStore::SetState(tx, bob, "disabled"); });
    EXPECT_EQ(ReasonOf(demote), "last_owner");
    With([&](db::Session& tx) { UserStore::SetState(tx, bob, "active"); });
    EXPECT_EQ(ReasonOf(demote), "none");
    EXPECT_EQ(ReasonOf(remove), "none");
}

TEST_P(Members, OfOneOrganizationAreUnknownInAnother) {
    const auto ada = AddUser("ada@acme.dev");
    Join(one_, ada, Role::kOwner);
    Join(two_, ada, Role::kViewer);
    db::Reader reader(*pool_, db::Scope(two_));
    EXPECT_EQ(MemberStore::List(reader, two_).size(), 1u);
    EXPECT_EQ(MemberStore::Find(reader, two_, ada)->role, Role::kViewer);
    db::Reader everyone(*pool_, db::Scope::AllTenants());
    EXPECT_EQ(MemberStore::OwnedBy(everyone, ada), std::vector{one_});
    EXPECT_EQ(
        ReasonOf([&](db::Session& tx) {
            MemberStore::SetRole(tx, model::TenantId(ids_.Next()), ada, Role::kAdmin, clock_.Now());
        }),
        "member_not_found"
    );
}

TEST_P(Members, APasswordAndADisabledAccountEndSessions) {
    const auto ada = AddUser("ada@acme.dev");
    With([&](db::Session& tx) { UserStore::SetPassword(tx, ada, "$argon2id$x"); });
    With([&](db::Session& tx) { UserStore::SetState(tx, ada, "disabled"); });
    db::Reader reader(*pool_, db::Scope::AllTenants());
    const auto user = UserStore::Find(reader, ada);
    ASSERT_TRUE(user);
    EXPECT_EQ(user->auth_epoch, 3);
    EXPECT_EQ(user->password_hash, "$argon2id$x");
    EXPECT_EQ(user->state, "disabled");
}

INSTANTIATE_TEST_SUITE_P(
    Databases,
    Members,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& each) { return test::DialectName(each.param); }
);

}  // namespace
}  // namespace opensend::organizations
