#include "kernel/runtime/transports.h"

#include "tests/unit/runtime/config_fixture.h"

namespace opensend::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class TransportsTest : public ConfigFixture {
protected:
    TransportsTest() { sources_.roles = {"worker"}; }
};

TEST_F(TransportsTest, OneVariableMakesOneTransport) {
    Env("OPENSEND_TRANSPORT_URL",
        "smtp://me%40x:p%3aw%40@Relay.example:587/?tls=required&a=%C3%BC");
    const auto config = Load();
    const auto all = config.Transports();
    ASSERT_THAT(all, SizeIs(1));
    EXPECT_EQ(all[0].name, "default");
    EXPECT_EQ(all[0].kind, "smtp");
    EXPECT_EQ(
        all[0].config_json,
        "{\"a\":\"\xC3\xBC\",\"host\":\"relay.example\",\"password\":{\"$secret\":"
        "\"env:OPENSEND_TRANSPORT_URL#password\"},\"path\":\"/\",\"port\":587,"
        "\"tls\":\"required\",\"username\":\"me@x\"}"
    );
    EXPECT_EQ(config.ResolveSecret("env:OPENSEND_TRANSPORT_URL#password")->Reveal(), "p:w@");
    const auto groups = config.Groups();
    ASSERT_THAT(groups, SizeIs(1));
    EXPECT_EQ(groups[0].name, "default");
    ASSERT_THAT(groups[0].members, SizeIs(1));
    EXPECT_EQ(groups[0].members[0].transport, "default");
}

TEST_F(TransportsTest, RulesOnAnswersComeOwnFirstThenThoseOfTheKind) {
    File(
        "transport.names = primary, mock\n"
        "transport.primary.url = smtp://relay.example\n"
        "transport.primary.rate = 14/s\n"
        "transport.primary.concurrency = 3\n"
        "transport.mock.plugin = mock\n"
        "transport.primary.answers.20-late = temp code=450\n"
        "transport.primary.answers.10-early = throttle code=421\n"
        "send.answers.all = perm_content text=spam\n"
        "send.answers.smtp-only = throttle kind=smtp enhanced=4.7.*\n"
    );
    const auto all = Load().Transports();
    ASSERT_THAT(all, SizeIs(2));
    std::vector<std::string> results;
    for (const auto& rule : all[0].answers) results.push_back(rule.result);
    EXPECT_THAT(results, ElementsAre("throttle", "temp", "perm_content", "throttle"));
    EXPECT_THAT(all[1].answers, SizeIs(1));
    EXPECT_EQ(all[0].rate_count, 14u);
    EXPECT_EQ(all[0].rate_period_us, 1'000'000u);
    EXPECT_EQ(all[0].concurrency, 3u);
    EXPECT_EQ(all[1].rate_count, 0u);
}

TEST_F(TransportsTest, SeveralTransportsAndGroups) {
    const auto relay = Write("relay", "hunter2\n", 0400);
    ::mkdir((dir_ + "/secrets").c_str(), 0700);
    ::mkdir((dir_ + "/secrets/acme").c_str(), 0700);
    Write("secrets/acme/prod", "k-1\n", 0400);
    File(base::Cat(
        "secrets.dir = ", dir_, "/secrets\ntransport.names = primary, backup\n",
        "transport.primary.url = smtps://relay.example\ntransport.primary.config.username = "
        "mailer\n",
        "transport.primary.config.password = file:", relay, "\n",
        "transport.backup.plugin = acme\ntransport.backup.config.region = eu\n",
        "transport.backup.config.api_key = secret:acme/prod\ntransport.backup.config.tls.min = "
        "1.3\n",
        "group.default.members = primary:100:1, backup:50:2\n",
        "group.news.members = backup\ngroup.news.streams = bulk\ngroup.news.domains = "
        "news.example\n",
        "plugins.acme.config.mode = fast\n"
    ));
    const auto config = Load();
    const auto all = config.Transports();
    ASSERT_THAT(all, SizeIs(2));
    EXPECT_EQ(all[0].kind, "smtps");
    EXPECT_THAT(all[0].config_json, HasSubstr(R"("password":{"$secret":"file:)"));
    EXPECT_THAT(all[0].config_json, Not(HasSubstr("hunter2")));
    EXPECT_EQ(all[1].plugin, "acme");
    EXPECT_EQ(
        all[1].config_json,
        R"({"api_key":{"$secret":"secret:acme/prod"},"region":"eu","tls.min":"1.3"})"
    );
    EXPECT_EQ(config.ResolveSecret("file:" + relay)->Reveal(), "hunter2");
    EXPECT_EQ(config.ResolveSecret("secret:acme/prod")->Reveal(), "k-1");
    EXPECT_FALSE(config.ResolveSecret("secret:../relay"));
    EXPECT_FALSE(config.ResolveSecret("nothing"));
    EXPECT_EQ(config.Text("transport.primary.scope"), "shared");
    EXPECT_EQ(config.PluginConfigJson("acme"), R"({"mode":"fast"})");
    const auto groups = config.Groups();
    ASSERT_THAT(groups, SizeIs(2));
    EXPECT_EQ(groups[0].members[1].weight, 50);
    EXPECT_EQ(groups[0].members[1].priority, 2);
    EXPECT_EQ(groups[1].name, "news");
    EXPECT_EQ(groups[1].members[0].weight, 100);
    EXPECT_THAT(groups[1].streams, ElementsAre("bulk"));
    Write("secrets/acme/prod", "k-1\n", 0640);
    EXPECT_THAT(Problems(), ElementsAre("transport.backup.config.api_key: unreadable_file"));
}

TEST_F(TransportsTest, SecretsOfTheEnvironmentBecomeReferences) {
    Env("OPENSEND_TRANSPORT__NAMES", "a");
    Env("OPENSEND_TRANSPORT__A__URL", "ses://eu-west-1?configuration_set=main");
    Env("OPENSEND_TRANSPORT__A__CONFIG__SECRET_ACCESS_KEY", "hidden-value");
    const auto config = Load();
    const auto json = config.Transports().at(0).config_json;
    EXPECT_EQ(
        json,
        "{\"configuration_set\":\"main\",\"host\":\"eu-west-1\",\"secret_access_key\":{\"$secret\":"
        "\"env:OPENSEND_TRANSPORT__A__CONFIG__SECRET_ACCESS_KEY\"}}"
    );
    EXPECT_EQ(
        config.ResolveSecret("env:OPENSEND_TRANSPORT__A__CONFIG__SECRET_ACCESS_KEY")->Reveal(),
        "hidden-value"
    );
    EXPECT_THAT(config.Show(), Not(HasSubstr("hidden-value")));
}

TEST_F(TransportsTest, APluginCannotAskForTheServersOwnSecrets) {
    Strict();
    sources_.roles = {};
    File("plugins.acme.config.x = env:WEBHOOK_SECRET_ENCRYPTION_KEY\n");
    const auto config = Load();
    EXPECT_EQ(config.PluginConfigJson("acme"), R"({"x":"env:WEBHOOK_SECRET_ENCRYPTION_KEY"})");
    for (const char* name :
         {"WEBHOOK_SECRET_ENCRYPTION_KEY", "BETTER_AUTH_SECRET", "DATABASE_URL",
          "INGESTER_JOB_TOKEN"}) {
        EXPECT_TRUE(config.SecretValue(name)) << name;
        EXPECT_FALSE(config.ResolveSecret(base::Cat("env:", name))) << name;
        EXPECT_FALSE(config.ResolveSecret(base::Cat("env:", name, "#password"))) << name;
    }
}

TEST_F(TransportsTest, BadTransportsAreRefused) {
    Env("OPENSEND_TRANSPORT_URL", "relay.example:587");
    EXPECT_THAT(Problems(), ElementsAre("OPENSEND_TRANSPORT_URL: bad_url"));
    Env("OPENSEND_TRANSPORT_URL", "smtp://relay.example:99999");
    EXPECT_THAT(Problems(), ElementsAre("OPENSEND_TRANSPORT_URL: bad_url"));
    Env("OPENSEND_TRANSPORT_URL", "smtp://relay.example");
    File("transport.names = default\n");
    EXPECT_THAT(Problems(), ElementsAre("OPENSEND_TRANSPORT_URL: conflict"));
    File("transport.names = a\ntransport.a.url = smtp://x\ntransport.a.plugin = b\n");
    EXPECT_THAT(Problems(), ElementsAre("transport.a.url: conflict"));
    File("transport.a.url = smtp://x\n");
    EXPECT_THAT(
        Load().warnings(),
        ElementsAre(
            HasSubstr("transport.names has no a"), HasSubstr("WEBHOOK_SECRET_ENCRYPTION_KEY")
        )
    );
}

TEST_F(TransportsTest, NothingConfiguredIsNothing) {
    const auto config = Load();
    EXPECT_THAT(config.Transports(), IsEmpty());
    EXPECT_THAT(config.Groups().at(0).members, IsEmpty());
}

TEST_F(TransportsTest, RateBucketsHaveDefaultsAndOwnNumbers) {
    File("ratelimit.key.admin.rate = 5/s\nratelimit.key.admin.burst = 9\n");
    const auto config = Load();
    EXPECT_EQ(config.RateBucket("org.api").count, 100u);
    EXPECT_EQ(config.RateBucket("org.api").period_us, 1'000'000u);
    EXPECT_EQ(config.RateBucket("org.api").burst, 200u);
    EXPECT_EQ(config.RateBucket("addr.authfail").period_us, 60'000'000u);
    EXPECT_EQ(config.RateBucket("key.admin").count, 5u);
    EXPECT_EQ(config.RateBucket("key.admin").burst, 9u);
    EXPECT_EQ(config.RateBucket("org.export").period_us, 3'600'000'000u);
}

}  // namespace
}  // namespace opensend::runtime
