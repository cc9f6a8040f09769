#include "kernel/plugin/host.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "kernel/base/encoding.h"
#include "kernel/crypto/digest.h"
#include "tests/unit/plugin/host_fixture.h"

namespace opensend::plugin {
namespace {

using model::ResultClass;
using testing::HasSubstr;
namespace fs = std::filesystem;

class HostTest : public HostFixture {};

std::string ReadFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

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

class GateTest : public HostTest {
protected:
    GateTest() : folder(fs::path(testing::TempDir()) / ("gate" + std::to_string(getpid()))) {
        fs::remove_all(folder);
        fs::create_directory(folder);
        chmod(folder.c_str(), 0700);
        good = ReadFile(OPENSEND_BINARY_DIR "/plugins_bad/bad_good.so");
        path = folder / "p.so";
        Write(good);
    }
    ~GateTest() override { fs::remove_all(folder); }
    void Write(std::string_view bytes) {
        std::ofstream file(path, std::ios::binary | std::ios::trunc);
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        file.close();
        chmod(path.c_str(), 0644);
    }
    std::string Finding() {
        const auto report = Inspect(path);
        EXPECT_EQ(report.ok, report.findings.empty());
        return report.findings.empty() ? "" : report.findings[0].substr(path.string().size());
    }
    const fs::path folder;
    fs::path path;
    std::string good;
};

TEST_F(GateTest, AGoodFileShowsItsManifest) {
    const auto report = Inspect(path);
    EXPECT_TRUE(report.ok);
    EXPECT_THAT(report.manifest_json, HasSubstr("opensend.transport/1:bad"));
}

TEST_F(GateTest, WhatOthersCanWriteIsRefused) {
    chmod(path.c_str(), 0666);
    EXPECT_EQ(Finding(), ": file: expected nobody else may write, found mode 0666");
    chmod(path.c_str(), 0644);
    chmod(folder.c_str(), 0777);
    EXPECT_EQ(Finding(), ": folder: expected nobody else may write, found mode 0777");
}

TEST_F(GateTest, OnlyARegularFileIsOpened) {
    const fs::path real = folder / "real.so";
    fs::rename(path, real);
    fs::create_symlink(real, path);
    EXPECT_EQ(Finding(), ": open: expected a regular file, found a symbolic link");
    fs::remove(path);
    fs::create_directory(path);
    EXPECT_EQ(Finding(), ": open: expected a regular file, found something else");
    fs::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(Finding(), ": open: expected a regular file, found something else");
}

TEST_F(GateTest, ATruncatedFileIsRefusedAtEveryLength) {
    for (size_t length = 0; length < good.size(); length += 64) {
        Write(std::string_view(good).substr(0, length));
        EXPECT_FALSE(Inspect(path).ok) << length;
    }
}

TEST_F(GateTest, AChangedByteOfTheHeadersNeverCrashesTheReader) {
    for (size_t at = 0; at < std::min<size_t>(good.size(), 1200); ++at) {
        std::string bytes = good;
        bytes[at] = static_cast<char>(~bytes[at]);
        Write(bytes);
        Inspect(path);
    }
}

TEST_F(GateTest, AFileOfMoreThan64MegabytesIsNotRead) {
    ASSERT_EQ(truncate(path.c_str(), 64 * 1024 * 1024 + 1), 0);
    EXPECT_EQ(Finding(), ": size: expected at most 64 MB, found 67108865 bytes");
}

TEST_F(GateTest, APinHoldsTheFile) {
    config.dir = folder;
    config.plugins.push_back({"p", "", base::HexEncode(crypto::Sha256(good)), false, "{}"});
    EXPECT_TRUE(Host(config, deps).plugins()[0].up);
    config.plugins[0].sha256[3] = config.plugins[0].sha256[3] == '0' ? '1' : '0';
    config.plugins[0].required = true;
    const Host pinned(config, deps);
    EXPECT_FALSE(pinned.plugins()[0].up);
    EXPECT_THAT(pinned.fatal_problems(), testing::Contains(HasSubstr("p: sha256: expected")));
}

}  // namespace
}  // namespace opensend::plugin
