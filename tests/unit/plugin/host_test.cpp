#include "kernel/plugin/host.h"

#include <unistd.h>

#include <gmock/gmock.h>

#include "tests/unit/plugin/host_fixture.h"

namespace opensend::plugin {
namespace {

using model::ResultClass;
using testing::HasSubstr;

class HostTest : public HostFixture {};

TEST_F(HostTest, ExamplesOfBothLanguagesAcceptMail) {
    for (const std::string& name : {std::string("echo_transport"), std::string("null_transport")}) {
        config.plugins = {};
        config.transports = {};
        auto* transport = Start(name);
        ASSERT_NE(transport, nullptr) << Problem();
        const auto results = Deliver(*transport, 40);
        for (const auto& result : results) {
            ASSERT_EQ(result.size(), 2u);
            EXPECT_EQ(result[1].result, ResultClass::kOk);
        }
        EXPECT_EQ(results[3][0].remote_id, name == "echo_transport" ? "id3" : "");
    }
}

TEST_F(HostTest, EachBrokenFileHasItsOwnLine) {
    const std::map<std::string, std::string> lines = {
        {"bad_magic",      "bad_magic: descriptor: expected the magic number OSP1, found another one"    },
        {"bad_major",      "bad_major: descriptor: expected ABI major 1, found major 2"                  },
        {"bad_id",         "bad_id: descriptor: expected the manifest's id test.bad, found somebody.else"},
        {"bad_entry",      "bad_entry: entry: expected the function osp_plugin_v1, found none"           },
        {"bad_no_note",    "bad_no_note: note: expected one note .note.opensend, found 0 of them"        },
        {"bad_json",       "bad_json: manifest: expected JSON, found "                                   },
        {"bad_host_minor",
         "bad_host_minor: note: expected a plugin for hosts up to 1.0, found one that needs 1.9"         },
        {"bad_undefined",  "nobody_defines_this"                                                         },
        {"absent",         "absent: open: expected a readable file, found No such file or directory"     },
    };
    for (const auto& [name, line] : lines) config.plugins.push_back({name, "", "", false, "{}"});
    Start("null_transport");
    for (const auto& plugin : host->plugins()) {
        if (plugin.name == "null_transport") {
            EXPECT_TRUE(plugin.up);
            continue;
        }
        EXPECT_FALSE(plugin.up);
        EXPECT_THAT(plugin.problem, HasSubstr(lines.at(plugin.name)));
        EXPECT_EQ(plugin.problem.find('\n'), std::string::npos);
    }
    EXPECT_NE(host->FindTransport("t"), nullptr);
}

TEST_F(HostTest, ATableIsReadByItsSize) {
    for (const std::string& name : {std::string("bad_short"), std::string("bad_long")}) {
        config.plugins = {};
        config.transports = {};
        auto* transport = Start(name);
        ASSERT_NE(transport, nullptr) << name;
        EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kOk) << name;
    }
    for (const std::string& name : {std::string("bad_tiny"), std::string("bad_huge")}) {
        config.plugins = {};
        config.transports = {};
        EXPECT_EQ(Start(name), nullptr);
        EXPECT_EQ(
            host->transports()[0].problem,
            "transport.t: table: expected a transport table, found a shorter one"
        );
    }
}

TEST_F(HostTest, AFailedCreateIsShownWithoutControlCharacters) {
    EXPECT_EQ(Start("bad_create"), nullptr);
    EXPECT_EQ(
        host->transports()[0].problem,
        "transport.t: create: expected success, found status -2: no way"
    );
}

TEST_F(HostTest, ASecondCompletionIsRefusedAndCounted) {
    auto* transport = Start("bad_twice");
    EXPECT_EQ(Deliver(*transport, 4)[3][0].result, ResultClass::kOk);
    host->plugins();
    EXPECT_GE(host->plugins()[0].errors, 3u);
    EXPECT_EQ(host->plugins()[0].late, 0u);
}

TEST_F(HostTest, ForeignTokensAreRefused) {
    auto* transport = Start("bad_stranger");
    EXPECT_EQ(Deliver(*transport)[0][0].result, ResultClass::kOk);
    EXPECT_EQ(host->plugins()[0].errors, 3u);
}

TEST_F(HostTest, AMessageWithoutAnswerIsUnknown) {
    auto* transport = Start("bad_silent");
    const auto results = Deliver(*transport, 2);
    EXPECT_EQ(results[1][1].result, ResultClass::kOkUnknown);
    EXPECT_EQ(results[1][1].diagnostic, "the plugin gave no answer");
}

TEST_F(HostTest, ALateCompletionIsRefusedAndCountedAsLate) {
    auto* transport = Start("bad_late");
    const auto results = Deliver(*transport, 1, 50);
    EXPECT_EQ(results[0][0].result, ResultClass::kOkUnknown);
    EXPECT_EQ(results[0][0].diagnostic, "no answer before the deadline");
    for (int i = 0; i < 100 && host->plugins()[0].late == 0; ++i) usleep(20'000);
    EXPECT_EQ(host->plugins()[0].late, 1u);
}

TEST_F(HostTest, TheDeadlineAnswersForAPluginThatBlocksAndForWhatWaitsBehindIt) {
    auto* transport = Start("bad_block");
    const auto results = Deliver(*transport, 12, 100);
    EXPECT_EQ(results[0][0].result, ResultClass::kOkUnknown);
    EXPECT_EQ(results[11][0].result, ResultClass::kNotTried);
}

TEST_F(HostTest, AChangedMessageIsAProtocolFailure) {
    auto* transport = Start("bad_change");
    const auto result = Deliver(*transport)[0][0];
    EXPECT_EQ(result.result, ResultClass::kProtocol);
    EXPECT_EQ(result.diagnostic, "the plugin changed the message");
}

TEST_F(HostTest, AnUnreadableResultIsAProtocolFailure) {
    EXPECT_EQ(Deliver(*Start("bad_result"))[0][0].result, ResultClass::kProtocol);
}

TEST_F(HostTest, AStatusIsTheAnswerForWhatWasNotCompleted) {
    EXPECT_EQ(Deliver(*Start("bad_busy"))[0][0].result, ResultClass::kNotTried);
    config.plugins = {};
    config.transports = {};
    EXPECT_EQ(Deliver(*Start("bad_config"))[0][0].result, ResultClass::kAuthConfig);
}

TEST_F(HostTest, ExceptionsAndDroppedCompletionsAreAnswers) {
    auto* transport = Start("throws");
    ASSERT_NE(transport, nullptr) << Problem();
    const auto first = Deliver(*transport, 1, 5000, 1)[0][0];
    EXPECT_EQ(first.result, ResultClass::kTemp);
    EXPECT_EQ(first.diagnostic, "the line is down");
    EXPECT_EQ(first.retry_after_ms, 1500u);
    for (uint32_t attempt = 2; attempt <= 5; ++attempt)
        EXPECT_EQ(Deliver(*transport, 1, 5000, attempt)[0][0].result, ResultClass::kProtocol)
            << attempt;
}

}  // namespace
}  // namespace opensend::plugin
