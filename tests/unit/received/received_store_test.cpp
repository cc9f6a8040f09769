#include "kernel/resources/received/received_store.h"

#include <gmock/gmock.h>

#include "kernel/crypto/random.h"
#include "kernel/db/migrator.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/received/received_json.h"
#include "tests/support/temp_db.h"

namespace opensend::received {
namespace {

using testing::HasSubstr;
using testing::Not;

class FixedClock final : public base::Clock {
public:
    base::Time Now() const override { return now; }
    base::MonoTime Mono() const override { return {}; }
    base::Time now{1'772'442'930'000'000};
};

class ReceivedStoreTest : public testing::TestWithParam<db::Dialect> {
protected:
    ReceivedStoreTest() : db_(GetParam()), pool_(db_.Open()) {
        db::Migrate(*pool_, clock_.now);
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        for (const auto& tenant : {tenant_, other_}) {
            tx.Execute(
                {"",
                 "INSERT INTO orgs (id, name, state, timezone, created_at) VALUES ($1, 'o', "
                 "'active', 'UTC', 1)"},
                {tenant}
            );
        }
        tx.Commit();
    }
    ReceivedEmail Make(const std::string& to, const model::DomainId& domain) {
        ReceivedEmail email;
        email.id = ReceivedId(ids_.Next());
        email.tenant = tenant_;
        email.created_at = clock_.now;
        email.message_id = "<b1@example.net>";
        email.from_text = "Bob <bob@example.net>";
        email.from_key = "bob@example.net";
        email.addresses = R"({"to":["Support <support@acme.dev>"],"cc":["c@x.example"]})";
        email.headers = R"([{"name":"From","value":"Bob"},{"name":"FROM","value":"Eve"},)"
                        R"({"name":"X-A","value":"1"},{"name":"x-a","value":"2"}])";
        email.raw_blob_key = std::string(64, 'a');
        email.size = 14230;
        email.spf = "pass";
        RouteDecision decision;
        decision.address = decision.match_key = to;
        decision.status = "exact";
        decision.domain = domain;
        decision.local_part = "support";
        email.decisions.push_back(decision);
        email.attachments.push_back(
            {model::AttachmentId(ids_.Next()), "photo.png", "image/png", "p1", "inline", 3,
             std::string(64, 'b')}
        );
        return email;
    }
    void Insert(const ReceivedEmail& email) {
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope(tenant_));
        ReceivedStore::Insert(tx, email, {"<p>Hi</p>", "Hi", std::nullopt});
        tx.Commit();
    }
    db::Page<ReceivedEmail> List(const ReceivedFilter& filter, const db::PageRequest& page = {}) {
        db::Reader reader(*pool_, db::Scope(tenant_));
        return ReceivedStore::List(reader, tenant_, filter, page);
    }

    test::TempDb db_;
    std::unique_ptr<db::Pool> pool_;
    FixedClock clock_;
    crypto::SystemRandom random_;
    base::UuidSource ids_{clock_, random_};
    const model::TenantId tenant_{ids_.Next()}, other_{ids_.Next()};
    const model::DomainId first_{ids_.Next()}, second_{ids_.Next()};
};

TEST_P(ReceivedStoreTest, WhatIsStoredComesBack) {
    const ReceivedEmail email = Make("support@acme.dev", first_);
    Insert(email);
    db::Reader reader(*pool_, db::Scope(tenant_));
    const auto found = ReceivedStore::Find(reader, tenant_, email.id);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->decisions.size(), 1u);
    EXPECT_EQ(found->decisions[0].domain, first_);
    EXPECT_EQ(found->attachments[0].blob_key, std::string(64, 'b'));
    EXPECT_EQ(ReceivedStore::FindContent(reader, tenant_, email.id)->html, "<p>Hi</p>");
    const std::string json = DetailJson(*found, {"<p>Hi</p>", "Hi", std::nullopt}, std::nullopt);
    EXPECT_THAT(json, HasSubstr(R"("headers":{"from":"Bob","x-a":"1, 2"})"));
    EXPECT_THAT(json, HasSubstr(R"("cc":["c@x.example"],"bcc":[],"reply_to":[])"));
    EXPECT_THAT(json, HasSubstr(R"("subject":"")"));
    EXPECT_THAT(json, HasSubstr(R"("raw":null)"));
    EXPECT_THAT(json, HasSubstr(R"("authentication":{"spf":"pass","dkim":null,"dmarc":null})"));
}

TEST_P(ReceivedStoreTest, AnotherTenantFindsNothing) {
    const ReceivedEmail email = Make("support@acme.dev", first_);
    Insert(email);
    db::Reader reader(*pool_, db::Scope(other_));
    EXPECT_FALSE(ReceivedStore::Find(reader, other_, email.id));
    EXPECT_FALSE(ReceivedStore::FindContent(reader, other_, email.id));
    EXPECT_FALSE(ReceivedStore::FindAttachment(reader, other_, email.attachments[0].id));
    EXPECT_TRUE(ReceivedStore::List(reader, other_, {}, {}).rows.empty());
}

TEST_P(ReceivedStoreTest, AListHasFiltersAndPages) {
    std::vector<ReceivedEmail> all;
    for (int i = 0; i < 4; ++i) {
        all.push_back(Make(i % 2 == 0 ? "a@acme.dev" : "b@acme.dev", i % 2 == 0 ? first_ : second_)
        );
        Insert(all.back());
    }
    ReceivedFilter filter;
    EXPECT_EQ(List(filter).rows.size(), 4u);
    const auto page = List(filter, {3, std::nullopt, std::nullopt});
    EXPECT_TRUE(page.has_more);
    EXPECT_EQ(page.rows[0].id, all[3].id);
    const auto newer = List(filter, {2, std::nullopt, all[0].id.ToString()});
    ASSERT_EQ(newer.rows.size(), 2u);
    EXPECT_EQ(newer.rows[0].id, all[2].id);
    EXPECT_EQ(newer.rows[1].attachments.size(), 1u);
    filter.to_key = "a@acme.dev";
    EXPECT_EQ(List(filter).rows.size(), 2u);
    filter.domain = second_;
    EXPECT_TRUE(List(filter).rows.empty());
    filter = {};
    filter.visible = second_;
    EXPECT_EQ(List(filter).rows.size(), 2u);
    filter = {};
    filter.from_key = "eve@example.net";
    EXPECT_TRUE(List(filter).rows.empty());
    filter = {};
    filter.created_after = clock_.now + std::chrono::hours(1);
    EXPECT_TRUE(List(filter).rows.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Databases,
    ReceivedStoreTest,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& tested) { return test::DialectName(tested.param); }
);

TEST(EmbedInline, ReplacesReferencesOfKnownPartsOnly) {
    ReceivedAttachment picture;
    picture.content_id = "img1";
    picture.content_type = "image/png; name=x";
    picture.size = 2;
    const std::vector<ReceivedAttachment> parts = {picture};
    const auto read = [](const ReceivedAttachment&) { return std::optional<std::string>("hi"); };
    EXPECT_EQ(
        EmbedInline(R"(<img src="CID:img1"><img src=cid:img1>)", parts, read),
        R"(<img src="data:image/png;base64,aGk="><img src=data:image/png;base64,aGk=>)"
    );
    EXPECT_EQ(EmbedInline("url('cid:%69mg1')", parts, read), "url('data:image/png;base64,aGk=')");
    for (const char* same :
         {"<img src=\"cid:img10\">", "<img src=\"cid:\">", "acid:img1", "cid:", "", "\"cid:im%"}) {
        EXPECT_EQ(EmbedInline(same, parts, read), same);
    }
}

TEST(EmbedInline, LeavesLargePartsAndOddTypesOut) {
    ReceivedAttachment large;
    large.content_id = "a";
    large.size = 1024 * 1024 + 1;
    large.content_type = "image/png";
    ReceivedAttachment odd;
    odd.content_id = "b";
    odd.size = 1;
    odd.content_type = "image/png\" onload=\"x";
    const auto read = [](const ReceivedAttachment&) { return std::optional<std::string>("x"); };
    const std::string html = EmbedInline("\"cid:a\" \"cid:b\"", {large, odd}, read);
    EXPECT_THAT(html, HasSubstr("\"cid:a\""));
    EXPECT_THAT(html, HasSubstr("data:application/octet-stream;base64,eA=="));
    EXPECT_THAT(html, Not(HasSubstr("onload")));
}

TEST(EmbedInline, StopsGrowingWhenOnePartIsNamedAgainAndAgain) {
    ReceivedAttachment picture;
    picture.content_id = "a";
    picture.size = 1024 * 1024;
    picture.content_type = "image/png";
    const std::string bytes(1024 * 1024, 'x');
    std::string html;
    for (int i = 0; i < 1000; ++i) html += "\"cid:a\"";
    const auto out = EmbedInline(html, {picture}, [&](const ReceivedAttachment&) {
        return std::optional(bytes);
    });
    EXPECT_LT(out.size(), size_t{32} * 1024 * 1024);
}

}  // namespace
}  // namespace opensend::received
