#include "kernel/runtime/config.h"

#include "kernel/runtime/settings.h"
#include "kernel/runtime/settings/properties.h"
#include "kernel/runtime/settings/url.h"
#include "kernel/runtime/settings/values.h"
#include "tests/unit/runtime/config_fixture.h"

namespace opensend::runtime {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using ConfigTest = ConfigFixture;

TEST_F(ConfigTest, CommandLineBeatsEnvironmentBeatsFileBeatsDefault) {
    EXPECT_EQ(Load().Int("api.port"), 3015);
    File("api.port = 1\nsmtp.max_recipients = 7\napp.name = File\n");
    Env("OPENSEND_API__PORT", "2");
    Env("OPENSEND_SMTP__MAX_RECIPIENTS", "8");
    EXPECT_EQ(Load().Int("api.port"), 2);
    Env("PORT", "3");
    EXPECT_EQ(Load().Int("api.port"), 3) << "the listed variable beats the generated one";
    sources_.set = {"api.port=4"};
    const auto config = Load();
    EXPECT_EQ(config.Int("api.port"), 4);
    EXPECT_EQ(config.Int("smtp.max_recipients"), 8);
    EXPECT_EQ(config.Text("app.name"), "File");
}

TEST_F(ConfigTest, AnEmptyValueIsUnset) {
    File("app.name = Ours\n");
    Env("OPENSEND_APP__NAME", "  ");
    Env("BETTER_AUTH_SECRET", "");
    EXPECT_EQ(Load().Text("app.name"), "Ours");
}

TEST_F(ConfigTest, TypesAreRead) {
    File(
        "database.allow_weak_password = On\nsend.max_age= 2d\nsmtp.max_message_bytes = 2 MiB\n"
        "egress.ports = 443 , ,8443\nscheduler.interval = 20s\n"
    );
    auto config = Load();
    EXPECT_TRUE(config.Bool("database.allow_weak_password"));
    EXPECT_EQ(config.Span("send.max_age"), std::chrono::hours(48));
    EXPECT_EQ(config.Int("smtp.max_message_bytes"), 2 << 20);
    EXPECT_THAT(config.List("egress.ports"), ElementsAre("443", "8443"));
    Env("INGESTER_SCHEDULER_INTERVAL_SECONDS", "30");
    EXPECT_EQ(Load().Span("scheduler.interval"), std::chrono::seconds(30));
    EXPECT_FALSE(ParseSpan("10"));
    EXPECT_FALSE(ParseSpan("-1s"));
    EXPECT_FALSE(ParseSpan("999999999999999d"));
    EXPECT_FALSE(ParseSize("1kb"));
    EXPECT_FALSE(ParseBool("maybe"));
}

TEST_F(ConfigTest, DefaultsFollowTheMode) {
    const auto local = Load();
    EXPECT_THAT(local.List("api.bind"), ElementsAre("127.0.0.1"));
    EXPECT_FALSE(local.Bool("egress.https_only"));
    EXPECT_EQ(local.Text("smtp.hostname"), "localhost");
    Strict();
    Env("OPENSEND_URL", "https://mail.example.com/");
    const auto strict = Load();
    EXPECT_THAT(strict.List("api.bind"), ElementsAre("0.0.0.0", "::"));
    EXPECT_EQ(strict.Span("drain.delay"), std::chrono::seconds(5));
    EXPECT_TRUE(strict.Bool("egress.https_only"));
    EXPECT_EQ(strict.Text("app.url"), "https://mail.example.com");
    EXPECT_EQ(strict.Text("smtp.hostname"), "mail.example.com");
    EXPECT_EQ(strict.Text("tracking.base_url"), "https://mail.example.com");
    EXPECT_EQ(strict.Text("tracking.cname_target"), "mail.example.com");
}

TEST_F(ConfigTest, EveryBadValueHasItsCode) {
    struct Case {
        const char *line, *problem;
    };
    constexpr Case kCases[] = {
        {"smtp.max_recipients = 51",                     "smtp.max_recipients: bad_format"         },
        {"smtp.max_recipients = many",                   "smtp.max_recipients: bad_format"         },
        {"send.lease = 29s",                             "send.lease: bad_format"                  },
        {"send.lease = 120",                             "send.lease: bad_format"                  },
        {"inbound.max_message_bytes = 41MiB",            "inbound.max_message_bytes: bad_format"   },
        {"log.level = loud",                             "log.level: unknown_value"                },
        {"metrics.org_labels = maybe",                   "metrics.org_labels: bad_format"          },
        {"net.trusted_proxies = 10.0.0.1/8",             "net.trusted_proxies: bad_format"         },
        {"api.bind = localhost",                         "api.bind: bad_format"                    },
        {"dns.servers = 9.9.9.9:70000",                  "dns.servers: bad_format"                 },
        {"sns.events_topics = topic",                    "sns.events_topics: bad_format"           },
        {"app.url = ftp://x",                            "app.url: bad_url"                        },
        {"app.url = http://",                            "app.url: bad_url"                        },
        {"app.url = http://u@localhost",                 "app.url: bad_url"                        },
        {"app.url = http://localhost/path",              "app.url: bad_url"                        },
        {"app.url = http://localhost?x=1",               "app.url: bad_url"                        },
        {"app.url = localhost:3015",                     "app.url: bad_url"                        },
        {"ratelimit.org.api.rate = 10/fortnight",        "ratelimit.org.api.rate: bad_format"      },
        {"ratelimit.nothing.rate = 10/s",                "ratelimit.nothing.rate: unknown_key"     },
        {"retention.audit = 89d",                        "retention.audit: bad_format"             },
        {"log.levle = info",                             "log.levle: unknown_key"                  },
        {"just words",                                   "FILE: bad_format"                        },
        {"api.tls_cert = /x",                            "api.tls_cert: conflict"                  },
        {"admin.bind = 0.0.0.0",                         "admin.metrics_token: missing"            },
        {"plugins.enabled = smtp",                       "plugins.enabled: missing"                },
        {"database.url = mysql://x/y",                   "database.url: bad_url"                   },
        {"ratelimit.redis_url = http://x",               "ratelimit.redis_url: bad_url"            },
        {"ratelimit.backend = redis",                    "REDIS_URL: missing"                      },
        {"app.replicas = 2",                             "app.replicas: conflict"                  },
        {"transport.names = a",                          "transport.a.url: missing"                },
        {"transport.names = a,a",                        "transport.names: duplicate"              },
        {"group.default.members = a:100:1",              "group.default.members: unknown_value"    },
        {"group.default.members = a:b",                  "group.default.members: bad_format"       },
        {"plugins.acme.sha256 = 12",                     "plugins.acme.sha256: bad_format"         },
        {"plugins.acme.config.password = hunter2",       "plugins.acme.config.password: bad_format"},
        {"plugins.acme.config.x = file:/does/not/exist", "plugins.acme.config.x: unreadable_file"  },
        {"plugins.acme.config.x = secret:../x",          "plugins.acme.config.x: bad_format"       },
    };
    sources_.roles = {"api"};
    for (const auto& each : kCases) {
        File(each.line);
        const auto expected = base::ReplaceAll(each.problem, "FILE", *sources_.file);
        EXPECT_THAT(Problems(), Contains(expected)) << each.line;
    }
}

TEST_F(ConfigTest, UnknownNamesHaveANeighbour) {
    File("smtp.max_recipient = 5\ntransport.a.ulr = x\n");
    EXPECT_THAT(Text(), HasSubstr("did you mean smtp.max_recipients?"));
    EXPECT_THAT(Text(), HasSubstr("did you mean transport.a.url?"));
    File("");
    Env("OPENSEND_SERVICE_HOST", "10.0.0.1");
    Env("OPENSEND_API_KEY", "x");
    Env("HOME", "/root");
    EXPECT_THAT(Load().warnings(), Contains(HasSubstr("OPENSEND_SERVICE_HOST: unknown variable")));
    sources_.set = {"nonsense", "x.y=1"};
    EXPECT_THAT(Problems(), ElementsAre("--set: bad_format", "x.y: unknown_key"));
}

TEST_F(ConfigTest, AFileThatWasNamedMustExist) {
    sources_.file = dir_ + "/absent.properties";
    EXPECT_THAT(Problems(), ElementsAre("--config: unreadable_file"));
}

TEST_F(ConfigTest, AKeyThatStandsTwiceHasItsLastValue) {
    File("app.name = One\napp.name = Two\n");
    const auto config = Load();
    EXPECT_EQ(config.Text("app.name"), "Two");
    EXPECT_THAT(config.warnings(), Contains(HasSubstr("line 2: app.name replaces")));
}

TEST_F(ConfigTest, PostgresRulesOfStrictMode) {
    struct Case {
        const char *url, *problem, *effective;
    };
    constexpr Case kCases[] = {
        {"postgres://u:postgres@db/x",                                   "DATABASE_URL: weak",     ""                                     },
        {"postgres://u@db/x",                                            "DATABASE_URL: weak",     ""                                     },
        {"postgres://u:Zk3kd9@db.example.com/x?sslmode=require",         "DATABASE_URL: insecure", ""                                     },
        {"postgres://u:Zk3kd9@db,db.example.com/x?sslmode=prefer",       "DATABASE_URL: insecure", ""                                     },
        {"postgres://u:Zk3kd9@db/x?host=db.example.com&sslmode=disable", "DATABASE_URL: insecure",
         ""                                                                                                                               },
        {"postgres://u:Zk3kd9@db.example.com/x",                         "",
         "postgres://u:Zk3kd9@db.example.com/x?sslmode=verify-full"                                                                       },
        {"postgres://u:Zk3kd9@db.example.com/x?connect_timeout=3",       "",
         "postgres://u:Zk3kd9@db.example.com/x?connect_timeout=3&sslmode=verify-full"                                                     },
        {"postgresql://u:Zk3kd9@10.0.0.5:5433/x",                        "",                       "postgresql://u:Zk3kd9@10.0.0.5:5433/x"},
        {"postgres://u:Zk3kd9@db/x?sslmode=disable",                     "",
         "postgres://u:Zk3kd9@db/x?sslmode=disable"                                                                                       },
        {"postgres:///x?host=/run/postgresql&password=Zk3kd9",           "",
         "postgres:///x?host=/run/postgresql&password=Zk3kd9"                                                                             },
    };
    Strict();
    sources_.roles = {"worker"};
    for (const auto& each : kCases) {
        Env("DATABASE_URL", each.url);
        if (*each.problem != '\0') {
            EXPECT_THAT(Problems(), ElementsAre(each.problem)) << each.url;
        } else {
            EXPECT_EQ(Load().SecretValue("DATABASE_URL")->Reveal(), each.effective);
        }
    }
    Env("DATABASE_URL", "postgres://u@db/x");
    sources_.set = {"database.allow_weak_password=true"};
    EXPECT_THAT(Problems(), IsEmpty());
}

TEST_F(ConfigTest, SqliteFilesBelongToTheProcessAlone) {
    Strict();
    sources_.roles = {"worker"};
    Write("data/opensend.db", "", 0644);
    EXPECT_THAT(Problems(), ElementsAre("DATABASE_URL: unreadable_file"));
    Write("data/opensend.db", "", 0600);
    EXPECT_THAT(Problems(), IsEmpty());
    ::chmod((dir_ + "/data").c_str(), 0755);
    EXPECT_THAT(Problems(), ElementsAre("DATABASE_URL: unreadable_file"));
}

TEST_F(ConfigTest, RedisRulesOfStrictMode) {
    Strict();
    sources_.roles = {"api"};
    Env("RATE_LIMIT_BACKEND", "redis");
    Env("OPENSEND_PLUGINS__ENABLED", "api_key, memory_limit, redis_limit");
    for (const char* good :
         {"redis://redis:6379", "redis://10.1.2.3/2", "redis://:pw@[fc00::1]",
          "rediss://u:pw@cache.example.com:6380/0"}) {
        Env("REDIS_URL", good);
        EXPECT_THAT(Problems(), IsEmpty()) << good;
    }
    Env("REDIS_URL", "redis://cache.example.com");
    EXPECT_THAT(Problems(), ElementsAre("REDIS_URL: insecure"));
    EXPECT_THAT(Text(), HasSubstr("rediss://"));
    Env("REDIS_URL", "redis://172.32.0.1");
    EXPECT_THAT(Problems(), ElementsAre("REDIS_URL: insecure"));
}

TEST_F(ConfigTest, BackendsMayBeAForeignPlugin) {
    File("plugins.enabled = memory_limit, acme\n");
    Env("RATE_LIMIT_BACKEND", "acme");
    EXPECT_THAT(Problems(), IsEmpty());
    Env("RATE_LIMIT_BACKEND", "acme_kind");
    EXPECT_THAT(Problems(), ElementsAre("RATE_LIMIT_BACKEND: unknown_value"));
    sources_.rate_limit_kinds = {"acme_kind"};
    EXPECT_THAT(Problems(), IsEmpty());
    Env("RATE_LIMIT_BACKEND", "smtp");
    EXPECT_THAT(Problems(), ElementsAre("RATE_LIMIT_BACKEND: unknown_value"));
}

TEST_F(ConfigTest, PrivateHooksAreOpenedByOneVariable) {
    Env("ALLOW_PRIVATE_WEBHOOK_URLS", "true");
    EXPECT_THAT(Load().List("egress.allow_cidrs"), Contains("127.0.0.0/8"));
    Strict();
    EXPECT_THAT(Load().List("egress.allow_cidrs"), SizeIs(4));
    sources_.set = {"egress.allow_cidrs=127.0.0.0/8"};
    EXPECT_THAT(Problems(), ElementsAre("egress.allow_cidrs: bad_format"));
}

TEST_F(ConfigTest, PairsComeTogether) {
    Env("GOOGLE_CLIENT_ID", "x");
    Env("OPENSEND_BOOTSTRAP_PASSWORD", "y-and-more");
    EXPECT_THAT(
        Problems(),
        ElementsAre("GOOGLE_CLIENT_ID: conflict", "OPENSEND_BOOTSTRAP_PASSWORD: conflict")
    );
}

TEST_F(ConfigTest, StrictSubmissionNeedsItsCertificate) {
    Strict();
    sources_.roles = {"smtp"};
    EXPECT_THAT(Problems(), ElementsAre("smtp.tls_cert: tls"));
    File(base::Cat("smtp.tls_cert = ", dir_, "/c\nsmtp.tls_key = ", dir_, "/k\n"));
    EXPECT_THAT(Problems(), ElementsAre("smtp.tls_cert: tls"));
    Write("c", "x");
    Write("k", "x");
    EXPECT_THAT(Problems(), IsEmpty());
    sources_.check_tls = [](const std::string&, const std::string&) {
        return std::string("the key is another's");
    };
    EXPECT_THAT(Text(), HasSubstr("/c: the key is another's"));
    File("smtp.port = 0\nsmtp.tls_port = 0\n");
    EXPECT_THAT(Problems(), IsEmpty());
}

TEST(Properties, AnyBytesAreSurvived) {
    EXPECT_THAT(ParseProperties("\xEF\xBB\xBF# c\r\n a.b = c = d \r\n\n").entries, SizeIs(1));
    EXPECT_EQ(ParseProperties("a = b = c").entries[0].value, "b = c");
    EXPECT_THAT(ParseProperties("a = \xff").problems, SizeIs(1));
    EXPECT_THAT(ParseProperties(std::string("a = \0x", 6)).problems, SizeIs(1));
    EXPECT_THAT(ParseProperties("= x").problems, SizeIs(1));
    EXPECT_THAT(ParseProperties("a = " + std::string(17'000, 'x')).problems, SizeIs(1));
    EXPECT_THAT(ParseProperties(std::string(2 << 20, 'x')).problems, SizeIs(1));
}

TEST(Settings, TheTableHoldsTogether) {
    std::string last;
    for (const auto& setting : AllSettings()) {
        EXPECT_NE(setting.key, last) << "a key stands twice";
        last = std::string(setting.key);
        EXPECT_FALSE(setting.doc.empty());
        for (const bool strict : {false, true}) {
            const auto value = FallbackFor(setting, strict);
            EXPECT_TRUE(value.empty() || !CheckValue(setting, value)) << setting.key;
        }
        if (setting.IsFamily()) continue;
        EXPECT_EQ(KeyOfVariable(VariableOfKey(setting.key)), setting.key);
        EXPECT_EQ(FindSetting(setting.key), &setting);
    }
    EXPECT_EQ(FindSetting("plugins.a.config"), nullptr);
    EXPECT_NE(FindSetting("plugins.a.config.b.c"), nullptr);
    EXPECT_NE(FindSetting("ratelimit.addr.authfail.burst"), nullptr);
    EXPECT_NE(FindSetting("oidc.corp.client_secret"), nullptr);
    EXPECT_EQ(FindSetting("transport.A.url"), nullptr);
}

TEST_F(ConfigTest, LimitsThatDoNotHoldAreAWarning) {
    const auto warns = [&](const char* part) {
        const Config config = Load();
        return std::any_of(
            config.warnings().begin(), config.warnings().end(),
            [&](const std::string& text) { return text.find(part) != std::string::npos; }
        );
    };
    Env("DATABASE_URL", "postgres://user:a-long-password-of-its-own@db/opensend");
    Env("OPENSEND_APP_REPLICAS", "2");
    EXPECT_TRUE(warns("counted by each of the processes apart"));
    Env("RATE_LIMIT_BACKEND", "disabled");
    EXPECT_FALSE(warns("counted by each of the processes apart"));
    EXPECT_FALSE(warns("have no limits")) << "while evaluating";
    Strict();
    EXPECT_TRUE(warns("have no limits"));
}

TEST_F(ConfigTest, TheTemplateIsAConfiguration) {
    const auto text = PropertiesTemplate("http://localhost:8025");
    File(text);
    EXPECT_EQ(Load().Text("app.url"), "http://localhost:8025");
    EXPECT_THAT(SettingsReference(), HasSubstr("| `smtp.max_recipients` |"));
    // Every default that is shown is one that may be set.
    std::string all = "database.url = sqlite::memory:\n";
    for (const auto line : base::Split(text, '\n')) {
        const auto key = base::Trim(line.substr(std::min<size_t>(line.size(), 1)));
        const size_t equals = key.find(" =");
        if (equals == std::string_view::npos || key.substr(equals + 2).empty()) continue;
        const auto* setting = FindSetting(key.substr(0, equals));
        if (setting == nullptr || setting->IsSecret() || setting->IsFamily()) continue;
        if (setting->key != "app.url" && setting->key != "app.data_dir")
            all += base::Cat(key, "\n");
    }
    File(all);
    EXPECT_THAT(Problems(), IsEmpty());
    EXPECT_GT(base::Split(all, '\n').size(), 80u);
}

TEST(Properties, ASettingIsReplacedWhereItStandsOrAdded) {
    const std::string text = "# a = 0\r\na = 1\n\n b.c =2\na = 3\nkeep me";
    EXPECT_EQ(
        SetProperties(
            text,
            {
                {"a",   "9"    },
                {"b.c", "x = y"},
                {"new", "1, 2" }
    }
        ),
        "# a = 0\r\na = 1\n\nb.c = x = y\na = 9\nkeep me\nnew = 1, 2\n"
    );
    EXPECT_EQ(
        SetProperties(
            "",
            {
                {"a", "1"}
    }
        ),
        "a = 1\n"
    );
    EXPECT_EQ(SetProperties("b = 2\n", {}), "b = 2\n");
}

}  // namespace
}  // namespace opensend::runtime
