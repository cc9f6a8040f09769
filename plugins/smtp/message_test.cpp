#include "plugins/smtp/message.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "plugins/smtp/config.h"

namespace opensend::smtp_plugin {
namespace {

std::string Stuffed(std::string_view data) {
    std::string out;
    AppendStuffed(out, data);
    return out;
}

TEST(AppendStuffed, EveryLineEndBecomesCrlfAndDotsAreDoubled) {
    struct Row {
        const char* in;
        const char* out;
    };
    static constexpr Row kRows[] = {
        {"",                            ".\r\n"                              },
        {"a",                           "a\r\n.\r\n"                         },
        {"a\r\n",                       "a\r\n.\r\n"                         },
        {"a\n",                         "a\r\n.\r\n"                         },
        {"a\r",                         "a\r\n.\r\n"                         },
        {".",                           "..\r\n.\r\n"                        },
        {".\r\n",                       "..\r\n.\r\n"                        },
        {"a\n.\r\nMAIL FROM:<e@x>\r\n", "a\r\n..\r\nMAIL FROM:<e@x>\r\n.\r\n"},
        {"a\r.\rb",                     "a\r\n..\r\nb\r\n.\r\n"              },
        {"a\r\n.\nb",                   "a\r\n..\r\nb\r\n.\r\n"              },
        {"a\n.\nb\n",                   "a\r\n..\r\nb\r\n.\r\n"              },
        {"a\r\r\nb",                    "a\r\n\r\nb\r\n.\r\n"                },
        {"\r\n\r\n",                    "\r\n\r\n.\r\n"                      },
        {"\n\r",                        "\r\n\r\n.\r\n"                      },
        {"a.b\r\n..\r\n",               "a.b\r\n...\r\n.\r\n"                },
        {"a\r.\n",                      "a\r\n..\r\n.\r\n"                   },
    };
    for (const Row& row : kRows) EXPECT_EQ(Stuffed(row.in), row.out) << row.in;
}

TEST(AppendStuffed, NoContentCanEndTheMessageEarly) {
    // All texts of length 6 over the dangerous alphabet.
    static constexpr char kLetters[] = {'\r', '\n', '.', 'a'};
    for (unsigned n = 0; n < 4096; ++n) {
        std::string text;
        for (unsigned i = 0; i < 6; ++i) text += kLetters[(n >> (2 * i)) & 3u];
        const std::string out = "\r\n" + Stuffed(text);
        EXPECT_EQ(out.find("\r\n.\r\n"), out.size() - 5);
        for (size_t i = 0; i < out.size(); ++i) {
            if (out[i] == '\r') {
                EXPECT_EQ(out[i + 1], '\n');
            }
            if (out[i] == '\n') {
                EXPECT_EQ(out[i - 1], '\r');
            }
        }
    }
}

TEST(SafeAddress, OnlyWhatFitsBetweenBracketsPasses) {
    for (const char* good :
         {"a@example.com", "a+b=c@[192.0.2.1]", "\"x\"@example.com", "postmaster",
          "j\xC3\xBCrgen@b\xC3\xBC"
          "cher.example",
          "\xF0\x9F\x93\xA7@example.com"}) {
        EXPECT_TRUE(IsSafeAddress(good)) << good;
    }
    const std::string long_one(600, 'a');
    for (const std::string& bad :
         {std::string(), std::string("a@b\r\nRSET"), std::string("a@b\n"), std::string("a b@c"),
          std::string("a@b>"), std::string("<a@b"), std::string("a\tb@c"), std::string("a\0b@c", 5),
          std::string("a\x7F@c"), std::string("\xFF@c"), std::string("\xC2\x85@c"),
          std::string("\xC2\xA0@c"), std::string("\xC0\x8A@c"), std::string("\xED\xA0\x80@c"),
          long_one}) {
        EXPECT_FALSE(IsSafeAddress(bad)) << bad;
    }
}

TEST(EightBitSearch, TellsHeaderFromBody) {
    EXPECT_FALSE(FindEightBit("Subject: x\r\n\r\nbody\r\n").in_header);
    EXPECT_FALSE(FindEightBit("Subject: x\r\n\r\nbody\r\n").in_body);
    EXPECT_TRUE(FindEightBit("Subject: \xC3\xBC\r\n\r\nbody\r\n").in_header);
    EXPECT_FALSE(FindEightBit("Subject: \xC3\xBC\r\n\r\nbody\r\n").in_body);
    EXPECT_TRUE(FindEightBit("Subject: x\r\n\r\nb\xC3\xBC\r\n").in_body);
    EXPECT_TRUE(FindEightBit("Subject: x\n\nb\xC3\xBC\n").in_body);
    EXPECT_TRUE(FindEightBit("\xC3").in_header);
}

TEST(Printable, ControlsAndBrokenUtf8AreEscaped) {
    std::string out;
    AppendPrintable(out, "a\r\n\x1B[0m\xFF\xC3\xBC", 100);
    EXPECT_EQ(out, "a\\x0d\\x0a\\x1b[0m\\xff\xC3\xBC");
    out.clear();
    AppendPrintable(out, "ab\xC3\xBC", 3);
    EXPECT_EQ(out, "ab");
}

TEST(QueueId, IsFoundInCommonAnswers) {
    EXPECT_EQ(FindQueueId("250 2.0.0 Ok: queued as 4F2A1"), "4F2A1");
    EXPECT_EQ(FindQueueId("250 OK id=1abcDE-0001"), "1abcDE-0001");
    EXPECT_EQ(FindQueueId("250 Ok"), "");
    EXPECT_EQ(FindQueueId("250 queued as "), "");
}

TEST(SmtpConfig, ReadsEveryMember) {
    std::string problem;
    const auto config = ParseConfig(
        R"({"host":"[::1]","port":"2525","tls":"required","username":{"$secret":"u"},"password":{"$secret":"p"},
            "helo":"mail.example","ca_file":"/x","local_address":"127.0.0.1","max_connections":"3",
            "allow_insecure_auth":true})",
        false, problem
    );
    ASSERT_TRUE(config) << problem;
    EXPECT_EQ(config->host, "::1");
    EXPECT_EQ(config->port, "2525");
    EXPECT_EQ(config->tls, TlsMode::kRequired);
    EXPECT_EQ(config->username.secret_ref, "u");
    EXPECT_EQ(config->password.secret_ref, "p");
    EXPECT_EQ(config->helo, "mail.example");
    EXPECT_EQ(config->max_connections, 3u);
    EXPECT_TRUE(config->allow_insecure_auth);
}

TEST(SmtpConfig, HasDefaults) {
    std::string problem;
    const auto plain = ParseConfig(R"({"host":"relay.example"})", false, problem);
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->port, "25");
    EXPECT_EQ(plain->tls, TlsMode::kOpportunistic);
    EXPECT_FALSE(plain->helo.empty());
    const auto implicit = ParseConfig(R"({"host":"relay.example","port":4650})", true, problem);
    ASSERT_TRUE(implicit);
    EXPECT_EQ(implicit->port, "4650");
    EXPECT_EQ(implicit->tls, TlsMode::kImplicit);
}

TEST(SmtpConfig, BadValuesAreNamed) {
    struct Row {
        const char* json;
        const char* member;
    };
    static constexpr Row kRows[] = {
        {"",                                                 "JSON"           },
        {"[]",                                               "JSON"           },
        {"{\"host\":1}",                                     "host"           },
        {"{}",                                               "host"           },
        {"{\"host\":\"a b\"}",                               "host"           },
        {"{\"host\":\"a\\r\\nb\"}",                          "host"           },
        {"{\"host\":\"a\",\"port\":0}",                      "port"           },
        {"{\"host\":\"a\",\"port\":\"70000\"}",              "port"           },
        {"{\"host\":\"a\",\"port\":\"25x\"}",                "port"           },
        {"{\"host\":\"a\",\"port\":-1}",                     "port"           },
        {"{\"host\":\"a\",\"tls\":\"maybe\"}",               "tls"            },
        {"{\"host\":\"a\",\"username\":\"u\"}",              "username"       },
        {"{\"host\":\"a\",\"password\":{\"x\":1}}",          "password"       },
        {"{\"host\":\"a\",\"password\":{\"$secret\":\"\"}}", "password"       },
        {"{\"host\":\"a\",\"helo\":\"x y\"}",                "helo"           },
        {"{\"host\":\"a\",\"max_connections\":21}",          "max_connections"},
        {"{\"host\":\"a\",\"allow_insecure_auth\":\"x\"}",   "allow_insecure" },
    };
    for (const Row& row : kRows) {
        std::string problem;
        EXPECT_FALSE(ParseConfig(row.json, false, problem)) << row.json;
        EXPECT_NE(problem.find(row.member), std::string::npos) << row.json << ": " << problem;
    }
    std::string problem;
    EXPECT_FALSE(ParseConfig(std::string(100000, ' '), false, problem));
    EXPECT_FALSE(ParseConfig(R"({"host":"a","tls":"none"})", true, problem));
    EXPECT_FALSE(ParseConfig(std::string(30000, '['), false, problem));
}

}  // namespace
}  // namespace opensend::smtp_plugin
