#include "kernel/plugin/scan/scan.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "kernel/plugin/load/loader.h"
#include "kernel/plugin/load/snapshot.h"
#include "kernel/plugin/scan/answer.h"
#include "tests/unit/plugin/host_fixture.h"

namespace opensend::plugin {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class ScanTest : public HostFixture {
protected:
    ScanTest() : memory(fs::path(testing::TempDir()) / ("scan" + std::to_string(getpid()))) {
        fs::remove_all(memory);
        policy.scan_program = {OPENSEND_BINARY_DIR "/tests/scan_plugin"};
        policy.scan_timeout = std::chrono::milliseconds(60'000);
        policy.server_version = "1";
    }
    ~ScanTest() override { fs::remove_all(memory); }
    /// What the gate says of a file; "" when it passes.
    std::string Line(const std::string& name) {
        GateRequest request;
        request.name = name;
        request.path = OPENSEND_BINARY_DIR "/plugins_bad/" + name + ".so";
        request.policy = std::make_shared<const GatePolicy>(policy);
        const auto file = PassGate(request);
        if (!file.ok()) return Describe(name, file.error());
        EXPECT_TRUE((*file)->scanned());
        return "";
    }
    std::vector<fs::path> Verdicts() {
        std::vector<fs::path> out;
        for (const auto& entry : fs::directory_iterator(memory)) out.push_back(entry.path());
        return out;
    }
    const fs::path memory;
    GatePolicy policy;
};

TEST_F(ScanTest, GoodFilesPass) {
    for (const char* name : {"bad_good", "echo_transport", "null_transport", "throws"})
        EXPECT_EQ(Line(name), "");
    policy.sealed = true;
    EXPECT_EQ(Line("bad_good"), "");
}

TEST_F(ScanTest, AFileThatDiesOnLoadTakesOnlyItsProcessAlong) {
    EXPECT_EQ(
        Line("bad_start_crash"),
        "bad_start_crash: scan: expected a file that loads, found a process ended by SIGABRT"
    );
    EXPECT_EQ(
        Line("bad_start_exit"),
        "bad_start_exit: scan: expected a file that loads, found exit 0 without an answer"
    );
}

TEST_F(ScanTest, AFileThatHangsIsEnded) {
    policy.scan_timeout = std::chrono::milliseconds(300);
    policy.verdicts = memory;
    EXPECT_EQ(
        Line("bad_start_hang"),
        "bad_start_hang: scan: expected an end within 300 ms, found a process that still ran"
    );
    EXPECT_FALSE(fs::exists(memory)) << "slowness is not remembered";
}

TEST_F(ScanTest, TheProcessMustBeLeftAsItWas) {
    const std::pair<const char*, const char*> lines[] = {
        {"locale",      "the locale as before loading, found another one"                   },
        {"signal",      "signal handlers as before loading, found another one for signal 10"},
        {"folder",      "the working folder as before loading, found another one"           },
        {"environment", "the environment as before loading, found another one"              },
    };
    for (const auto& [name, line] : lines)
        EXPECT_EQ(
            Line(base::Cat("bad_start_", name)),
            base::Cat("bad_start_", name, ": snapshot: expected ", line)
        );
    EXPECT_THAT(Line("bad_start_umask"), HasSubstr("snapshot: expected umask "));
    EXPECT_THAT(Line("bad_start_umask"), HasSubstr("as before loading, found 0000"));
    EXPECT_THAT(Line("bad_start_thread"), HasSubstr("snapshot: expected threads "));
}

TEST_F(ScanTest, OnlyWhatLoadingTakesIsAllowed) {
    EXPECT_EQ(
        Line("bad_start_socket"),
        "bad_start_socket: scan: expected a file that loads, found a system call that loading does "
        "not need"
    );
    EXPECT_EQ(Line("bad_start_write"), "");
    EXPECT_FALSE(fs::exists("/tmp/opensend_bad"));
}

TEST_F(ScanTest, ProblemsOfLoadingAreToldAsTheyAre) {
    EXPECT_EQ(
        Line("bad_entry"), "bad_entry: entry: expected the function osp_plugin_v1, found none"
    );
    EXPECT_THAT(Line("bad_undefined"), HasSubstr("nobody_defines_this"));
    EXPECT_THAT(Line("bad_magic"), HasSubstr("descriptor: expected the magic number OSP1"));
}

TEST_F(ScanTest, AVerdictIsRememberedForThisContentAndServer) {
    policy.verdicts = memory;
    const std::string line = Line("bad_start_crash");
    EXPECT_EQ(Line("bad_good"), "");
    EXPECT_THAT(Line("bad_undefined"), HasSubstr("load: expected an object whose symbols resolve"));
    ASSERT_EQ(Verdicts().size(), 2u) << "a missing symbol may come with another library";
    // Nothing is started any more.
    policy.scan_program = {"/nonexistent"};
    EXPECT_EQ(Line("bad_good"), "");
    EXPECT_THAT(
        Line("bad_start_crash"), HasSubstr("SIGABRT (remembered; without " + memory.string())
    );
    policy.server_version = "2";
    EXPECT_EQ(
        Line("bad_good"),
        "bad_good: scan: expected a process that loads it first, found No such "
        "file or directory"
    );
    EXPECT_EQ(Verdicts().size(), 2u);
    EXPECT_THAT(line, HasSubstr("SIGABRT"));
}

TEST_F(ScanTest, AVerdictThatOthersCouldWriteIsNotBelieved) {
    policy.verdicts = memory;
    EXPECT_THAT(Line("bad_start_crash"), HasSubstr("SIGABRT"));
    const fs::path verdict = Verdicts().at(0);
    std::ofstream(verdict) << "good\n";
    EXPECT_EQ(Line("bad_start_crash"), "");
    chmod(verdict.c_str(), 0666);
    EXPECT_THAT(Line("bad_start_crash"), HasSubstr("SIGABRT"));
    std::ofstream(verdict, std::ios::trunc) << "anything";
    chmod(verdict.c_str(), 0644);
    EXPECT_THAT(Line("bad_start_crash"), HasSubstr("SIGABRT"));
}

TEST_F(ScanTest, TheServerLooksOnceMoreWhenItLoads) {
    for (const char* name : {"bad_start_umask", "bad_start_signal", "bad_start_locale"}) {
        const Snapshot before;
        auto file = PassGate(base::Cat(OPENSEND_BINARY_DIR "/plugins_bad/", name, ".so"), "");
        ASSERT_TRUE(file.ok()) << Describe(name, file.error());
        const auto loaded = Load(**file);
        ASSERT_FALSE(loaded.ok()) << name;
        EXPECT_EQ(loaded.error().step, "snapshot");
        EXPECT_FALSE(before.Compare(true)) << name << " has changed the process";
    }
}

TEST_F(ScanTest, TheHostGoesOnWithoutAFileThatWouldCrashIt) {
    config.plugins.push_back({"bad_start_crash", "", "", false, "{}"});
    config.plugins[0].policy = std::make_shared<const GatePolicy>(policy);
    ASSERT_NE(Start("null_transport"), nullptr);
    EXPECT_FALSE(host->plugins()[0].up);
    EXPECT_THAT(Problem(), HasSubstr("bad_start_crash: scan: expected a file that loads"));
}

TEST(ScanAnswer, IsReadBackAsItWasWritten) {
    const Problem problem{"load", "a\nb", std::string("c\0d", 3)};
    const auto back = ParseAnswer(AnswerText(problem));
    ASSERT_TRUE(back && *back);
    EXPECT_EQ(Describe("p", **back), "p: load: expected a b, found c d");
    EXPECT_TRUE(ParseAnswer(AnswerText({})));
    for (const char* text :
         {"", "good", "good\n\n", "refused\n", "refused\na\nb\n", "refused\n\nb\nc\n",
          "refused\na\nb\nc\nd\n"})
        EXPECT_FALSE(ParseAnswer(text)) << text;
}

}  // namespace
}  // namespace opensend::plugin
