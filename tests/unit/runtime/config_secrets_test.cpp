#include <fstream>
#include <sstream>

#include "kernel/runtime/setup/dev_secrets.h"
#include "kernel/runtime/setup/secret_rules.h"
#include "tests/unit/runtime/config_fixture.h"

namespace opensend::runtime {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using ConfigSecretsTest = ConfigFixture;

TEST_F(ConfigSecretsTest, APlaceholderStartsOnlyWhereEveryAddressIsLocal) {
    struct Form {
        const char* url;
        bool strict;
    };
    constexpr Form kForms[] = {
        {"http://localhost:3015",         false},
        {"http://LOCALHOST",              false},
        {"http://app.localhost:8080/",    false},
        {"http://127.0.0.1:3015",         false},
        {"https://127.250.3.4",           false},
        {"http://[::1]:3015",             false},
        {"https://mail.example.com",      true },
        {"https://localhost.example.com", true },
        {"https://127.0.0.1.example.com", true },
        {"https://0.0.0.0:3015",          true },
        {"https://192.168.1.20",          true },
        {"https://box.local",             true },
        {"https://myhost",                true },
        {"https://[::ffff:127.0.0.1]",    true },
        {"https://127.1",                 true },
        {"https://notlocalhost",          true },
    };
    for (const auto& form : kForms) {
        Strict();
        Env("OPENSEND_URL", form.url);
        sources_.roles = {"api"};
        Env("BETTER_AUTH_SECRET", "local-dev-better-auth-secret-replace-before-production");
        if (form.strict) {
            EXPECT_THAT(Problems(), ElementsAre("BETTER_AUTH_SECRET: placeholder")) << form.url;
        } else {
            const auto config = Load();
            EXPECT_FALSE(config.strict()) << form.url;
            EXPECT_THAT(
                config.warnings(), Contains("startup.placeholder_secret: BETTER_AUTH_SECRET")
            );
        }
    }
}

TEST_F(ConfigSecretsTest, AnyAliasMakesTheProcessStrict) {
    Env("OPENSEND_URL", "http://localhost:3015");
    Env("APP_URL", "https://mail.example.com");
    sources_.roles = {"api"};
    EXPECT_THAT(
        Problems(), ElementsAre(
                        "BETTER_AUTH_SECRET: missing", "OPENSEND_URL: insecure",
                        "WEBHOOK_SECRET_ENCRYPTION_KEY: missing"
                    )
    );
}

TEST_F(ConfigSecretsTest, EveryListedPlaceholderIsKnown) {
    for (const char* text :
         {"local-dev-any-words-replace-before-production", "xx-REPLACE-ME-xx", "changeme",
          " Secret ", "password", "<your key here>", "${SECRET}", "opensend", "my_insecure_value",
          "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "0123456789abcdef",
          "0000000000000000000000000000000000000000000000000000000000000000",
          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}) {
        EXPECT_TRUE(IsPlaceholder(text)) << text;
    }
    EXPECT_FALSE(IsPlaceholder(kA));
    EXPECT_FALSE(IsPlaceholder("0123456789abcdef0123456789abcdee"));
}

TEST_F(ConfigSecretsTest, GuessableValuesAreWeak) {
    EXPECT_TRUE(IsWeak(std::string(64, 'x')));
    EXPECT_TRUE(IsWeak("abcdefghabcdefghabcdefghabcdefgh"));
    EXPECT_TRUE(IsWeak("abcdefghabcdefghabcdefghabcdefghabc"));
    EXPECT_TRUE(IsWeak("12121212121213131313131313131313"));
    EXPECT_FALSE(IsWeak(kA));
    for (int i = 0; i < 2000; ++i) {
        const auto secret = RandomSecretHex();
        ASSERT_EQ(secret.size(), 64u);
        ASSERT_FALSE(IsWeak(secret) || IsPlaceholder(secret)) << secret;
    }
}

TEST_F(ConfigSecretsTest, TheStartupErrorNamesEverythingAndShowsNoValue) {
    Strict();
    sources_.roles = {"api", "ingester"};
    sources_.environment.erase("INGESTER_INBOUND_TOKEN");
    Env("BETTER_AUTH_SECRET", "local-dev-better-auth-secret-replace-before-production");
    Env("INGESTER_JOB_TOKEN", "abcdefghijkl");
    Env("RATE_LIMIT_BACKEND", "redsi");
    EXPECT_EQ(
        Text(),
        "opensend: configuration refused (4 problems)\n"
        "  BETTER_AUTH_SECRET: placeholder: placeholder value; replace it with a generated secret\n"
        "  INGESTER_INBOUND_TOKEN: missing: required by role(s) ingester\n"
        "  INGESTER_JOB_TOKEN: too_short: 12 characters; at least 32 are needed\n"
        "  RATE_LIMIT_BACKEND: unknown_value: \"redsi\" is not one of memory, redis, disabled\n"
        "  generate secrets with: openssl rand -hex 32\n"
    );
    EXPECT_EQ(
        ProblemsAsJson({
            {"A", "missing", "say \"x\""}
    }),
        "{\"event\":\"startup.config_refused\",\"problems\":[{\"name\":\"A\",\"code\":\"missing\","
        "\"text\":\"say \\\"x\\\"\"}]}\n"
    );
    EXPECT_THAT(
        FormatProblems({
            {"app.name", "bad_format", "x"}
    }),
        Not(HasSubstr("openssl"))
    );
}

TEST_F(ConfigSecretsTest, EachRoleNeedsExactlyItsRow) {
    struct Row {
        const char* role;
        std::vector<std::string> missing;
    };
    const Row rows[] = {
        {"api",       {"BETTER_AUTH_SECRET: missing", "WEBHOOK_SECRET_ENCRYPTION_KEY: missing"}},
        {"ingester",
         {"INGESTER_INBOUND_TOKEN: missing", "INGESTER_JOB_TOKEN: missing",
          "WEBHOOK_SECRET_ENCRYPTION_KEY: missing"}                                            },
        {"worker",    {"WEBHOOK_SECRET_ENCRYPTION_KEY: missing"}                               },
        {"scheduler", {"WEBHOOK_SECRET_ENCRYPTION_KEY: missing"}                               },
        {"smtp",      {"WEBHOOK_SECRET_ENCRYPTION_KEY: missing", "smtp.tls_cert: tls"}         },
        {"migrate",   {}                                                                       },
    };
    for (const auto& row : rows) {
        Strict();
        for (const char* name :
             {"BETTER_AUTH_SECRET", "WEBHOOK_SECRET_ENCRYPTION_KEY", "INGESTER_JOB_TOKEN",
              "INGESTER_INBOUND_TOKEN"}) {
            sources_.environment.erase(name);
        }
        sources_.roles = {row.role};
        EXPECT_EQ(Problems(), row.missing) << row.role;
    }
    sources_.roles = {"scheduler"};
    Env("INGESTER_URL", "https://ingester.internal:3016");
    Env("WEBHOOK_SECRET_ENCRYPTION_KEY", kB);
    EXPECT_THAT(Problems(), ElementsAre("INGESTER_JOB_TOKEN: missing"));
    sources_.roles = {"scheduler", "worker"};
    EXPECT_THAT(Problems(), IsEmpty());
    sources_.roles = {};
    sources_.environment.erase("WEBHOOK_SECRET_ENCRYPTION_KEY");
    EXPECT_THAT(Problems(), IsEmpty()) << "a tool";
}

TEST_F(ConfigSecretsTest, ARoleDoesNotGetWhatIsNotItsOwn) {
    Strict();
    Env("OPENSEND_TRANSPORT_URL", "smtp://u:p@relay.example:587");
    sources_.roles = {"scheduler"};
    const auto config = Load();
    EXPECT_FALSE(config.SecretValue("BETTER_AUTH_SECRET"));
    EXPECT_FALSE(config.SecretValue("INGESTER_INBOUND_TOKEN"));
    EXPECT_TRUE(config.SecretValue("WEBHOOK_SECRET_ENCRYPTION_KEY"));
    EXPECT_TRUE(config.Transports().empty());
}

TEST_F(ConfigSecretsTest, ASecretThatIsNotNeededIsCheckedAllTheSame) {
    Strict();
    sources_.roles = {"worker"};
    Env("INGESTER_JOB_TOKEN", "short");
    EXPECT_THAT(Problems(), ElementsAre("INGESTER_JOB_TOKEN: too_short"));
}

TEST_F(ConfigSecretsTest, NoTwoSecretsAreEqual) {
    Strict();
    sources_.roles = {"api", "ingester"};
    Env("INGESTER_INBOUND_TOKEN", kC);
    EXPECT_THAT(Problems(), ElementsAre("INGESTER_JOB_TOKEN: duplicate"));
    EXPECT_THAT(Text(), HasSubstr("same value as INGESTER_INBOUND_TOKEN"));
    Env("INGESTER_INBOUND_TOKEN", kD);
    Env("DATABASE_URL", base::Cat("postgres://os:", kA, "@db/os"));
    EXPECT_THAT(Problems(), ElementsAre("DATABASE_URL: duplicate"));
}

TEST_F(ConfigSecretsTest, TokensMayBeTwoWhileTheyAreReplaced) {
    Strict();
    sources_.roles = {"ingester"};
    Env("INGESTER_JOB_TOKEN", base::Cat(kC, ",", kA));
    sources_.environment.erase("BETTER_AUTH_SECRET");
    EXPECT_THAT(Problems(), IsEmpty());
    Env("INGESTER_JOB_TOKEN", base::Cat(kC, ",", kA, ",", kD));
    EXPECT_THAT(Problems(), Contains("INGESTER_JOB_TOKEN: bad_format"));
    Env("INGESTER_JOB_TOKEN", base::Cat(kC, ",short"));
    EXPECT_THAT(Problems(), ElementsAre("INGESTER_JOB_TOKEN: too_short"));
    Env("INGESTER_JOB_TOKEN", base::Cat(kC, " ", kA));
    EXPECT_THAT(Problems(), ElementsAre("INGESTER_JOB_TOKEN: bad_format"));
    Env("INGESTER_JOB_TOKEN", std::string(40, 'z'));
    EXPECT_THAT(Problems(), ElementsAre("INGESTER_JOB_TOKEN: weak"));
}

TEST_F(ConfigSecretsTest, ProductionWithALocalAddressNeedsSecretsAndBearsPlaceholders) {
    Env("NODE_ENV", "production");
    sources_.roles = {"api"};
    EXPECT_THAT(
        Problems(),
        ElementsAre("BETTER_AUTH_SECRET: missing", "WEBHOOK_SECRET_ENCRYPTION_KEY: missing")
    );
    Env("BETTER_AUTH_SECRET", "local-dev-better-auth-secret-replace-before-production");
    Env("WEBHOOK_SECRET_ENCRYPTION_KEY", "too-short-for-production");
    EXPECT_THAT(Problems(), ElementsAre("WEBHOOK_SECRET_ENCRYPTION_KEY: too_short"));
    Env("WEBHOOK_SECRET_ENCRYPTION_KEY", "local-dev-webhook-secret-replace-before-production");
    EXPECT_EQ(Load().warnings().size(), 2u);
}

TEST_F(ConfigSecretsTest, EvaluationMakesItsSecretsOnce) {
    sources_.roles = {"all"};
    const auto first = Load();
    const auto second = Load();
    const auto key = first.SecretValue("WEBHOOK_SECRET_ENCRYPTION_KEY");
    ASSERT_TRUE(key);
    EXPECT_EQ(key->size(), 64u);
    EXPECT_EQ(key->Reveal(), second.SecretValue("WEBHOOK_SECRET_ENCRYPTION_KEY")->Reveal());
    EXPECT_NE(key->Reveal(), first.SecretValue("BETTER_AUTH_SECRET")->Reveal());
    EXPECT_FALSE(first.SecretValue("INGESTER_JOB_TOKEN"));
    EXPECT_THAT(first.warnings(), Contains(HasSubstr("BETTER_AUTH_SECRET: generated")));
    EXPECT_THAT(second.warnings(), IsEmpty());
    struct stat info {};
    ASSERT_EQ(::stat((dir_ + "/data/dev-secrets.env").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    EXPECT_EQ(second.SecretValue("DATABASE_URL")->Reveal(), "sqlite:" + dir_ + "/data/opensend.db");
}

TEST_F(ConfigSecretsTest, OneNameIsAddedWithoutChangingTheOther) {
    sources_.roles = {"worker"};
    const auto key = Load().SecretValue("WEBHOOK_SECRET_ENCRYPTION_KEY");
    sources_.roles = {"api"};
    EXPECT_EQ(Load().SecretValue("WEBHOOK_SECRET_ENCRYPTION_KEY")->Reveal(), key->Reveal());
    EXPECT_TRUE(Load().SecretValue("BETTER_AUTH_SECRET"));
}

TEST_F(ConfigSecretsTest, NothingIsWrittenByACheckOrARefusedStart) {
    sources_.may_write = false;
    Load();
    sources_.may_write = true;
    Env("PORT", "0");
    sources_.roles = {"api"};
    EXPECT_THAT(Problems(), ElementsAre("PORT: bad_format"));
    EXPECT_FALSE(std::filesystem::exists(dir_ + "/data"));
}

TEST_F(ConfigSecretsTest, SecretsComeFromFiles) {
    Strict();
    sources_.roles = {"api"};
    sources_.environment.erase("BETTER_AUTH_SECRET");
    Env("BETTER_AUTH_SECRET_FILE", Write("auth", std::string(kA) + "\n", 0400));
    EXPECT_EQ(Load().SecretValue("BETTER_AUTH_SECRET")->Reveal(), kA);
    Env("BETTER_AUTH_SECRET", kA);
    EXPECT_THAT(Problems(), ElementsAre("BETTER_AUTH_SECRET: conflict"));
    sources_.environment.erase("BETTER_AUTH_SECRET");
    Write("auth", kA, 0644);
    EXPECT_THAT(Problems(), ElementsAre("BETTER_AUTH_SECRET: unreadable_file"));
    Write("auth", std::string(70'000, 'a'), 0600);
    EXPECT_THAT(Problems(), ElementsAre("BETTER_AUTH_SECRET: unreadable_file"));
    Env("BETTER_AUTH_SECRET_FILE", dir_ + "/absent");
    EXPECT_THAT(Problems(), ElementsAre("BETTER_AUTH_SECRET: unreadable_file"));
    sources_.environment.erase("BETTER_AUTH_SECRET_FILE");
    File("auth.secret = file:" + Write("auth2", kA, 0400));
    EXPECT_EQ(Load().SecretValue("BETTER_AUTH_SECRET")->Reveal(), kA);
}

TEST_F(ConfigSecretsTest, SecretsStandNeitherInTheFileNorOnTheCommandLine) {
    File(base::Cat("auth.secret = ", kA, "\ndatabase.url = postgres://u:pw@db/x\n"));
    sources_.set = {base::Cat("secrets.master_key=", kB), "transport.a.url=smtp://u:p@h"};
    EXPECT_THAT(
        Problems(), ElementsAre(
                        "auth.secret: bad_format", "database.url: insecure",
                        "secrets.master_key: bad_format", "transport.a.url: insecure"
                    )
    );
    EXPECT_THAT(Text(), Not(HasSubstr(kA)));
    File("database.url = postgres://u@db/x\n");
    sources_.set = {};
    EXPECT_EQ(Load().SecretValue("DATABASE_URL")->Reveal(), "postgres://u@db/x");
}

TEST_F(ConfigSecretsTest, PreviousKeysAreOthersThanTheKey) {
    Strict();
    sources_.roles = {"worker"};
    Env("WEBHOOK_SECRET_ENCRYPTION_KEY_PREVIOUS", base::Cat(kA, ",", kC));
    sources_.environment.erase("BETTER_AUTH_SECRET");
    sources_.environment.erase("INGESTER_JOB_TOKEN");
    EXPECT_THAT(Problems(), IsEmpty());
    Env("WEBHOOK_SECRET_ENCRYPTION_KEY_PREVIOUS", base::Cat(kA, ",", kB));
    EXPECT_THAT(Problems(), ElementsAre("WEBHOOK_SECRET_ENCRYPTION_KEY_PREVIOUS: conflict"));
    Env("WEBHOOK_SECRET_ENCRYPTION_KEY_PREVIOUS", "short");
    EXPECT_THAT(Problems(), ElementsAre("WEBHOOK_SECRET_ENCRYPTION_KEY_PREVIOUS: too_short"));
}

TEST_F(ConfigSecretsTest, ShowTellsSizesOnly) {
    Strict();
    sources_.kid = [](const base::Secret&) { return std::string("4548769f"); };
    const auto shown = Load().Show();
    EXPECT_THAT(shown, HasSubstr("secrets.master_key = set (64 bytes, kid 4548769f)\n"));
    EXPECT_THAT(shown, HasSubstr("ratelimit.redis_url = unset\n"));
    EXPECT_THAT(shown, HasSubstr("app.url = https://mail.example.com\n"));
    for (const char* secret : {kA, kB, kC, kD}) EXPECT_THAT(shown, Not(HasSubstr(secret)));
}

}  // namespace
}  // namespace opensend::runtime
