#include "kernel/runtime/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/base/time.h"

namespace opensend::runtime {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class FixedClock final : public base::Clock {
public:
    base::Time Now() const override { return *base::ParseIso("2026-03-02T10:00:00.123Z"); }
    base::MonoTime Mono() const override { return {}; }
};

class LogTest : public ::testing::Test {
protected:
    LogTest() { EXPECT_EQ(::pipe(pipe_), 0); }
    ~LogTest() override {
        StopLog();
        ::close(pipe_[0]);
        ::close(pipe_[1]);
    }
    LogOptions Options() {
        LogOptions options;
        options.role = "api";
        options.node = "n1";
        options.fd = pipe_[1];
        options.clock = &clock_;
        return options;
    }
    std::string Written() {
        StopLog();
        ::fcntl(pipe_[0], F_SETFL, O_NONBLOCK);
        std::string out(1 << 20, '\0');
        size_t size = 0;
        for (ssize_t n = 0; (n = ::read(pipe_[0], out.data() + size, out.size() - size)) > 0;) {
            size += static_cast<size_t>(n);
        }
        out.resize(size);
        return out;
    }

    int pipe_[2] = {-1, -1};
    FixedClock clock_;
};

TEST_F(LogTest, LineHasItsMembersInOrder) {
    StartLog(Options());
    const LogScope scope({kv("job", 7), kv("org_id", "o1"), kv("request_id", "r1")});
    OPENSEND_LOG(kInfo, "email.accepted", "email accepted", kv("size", size_t{12}), kv("ok", true));
    EXPECT_EQ(
        Written(),
        R"({"ts":"2026-03-02T10:00:00.123Z","level":"info","event":"email.accepted","role":"api",)"
        R"("node":"n1","request_id":"r1","org_id":"o1","msg":"email accepted","job":7,"size":12,)"
        "\"ok\":true}\n"
    );
}

TEST_F(LogTest, FieldsOfAScopeEndWithIt) {
    StartLog(Options());
    {
        const LogScope outer({kv("a", 1)});
        const LogScope inner({kv("a", 2), kv("b", 3)});
        OPENSEND_LOG(kInfo, "x", "first", kv("b", 4));
    }
    std::thread([] { OPENSEND_LOG(kInfo, "x", "second"); }).join();
    const auto text = Written();
    EXPECT_THAT(text, HasSubstr("\"msg\":\"first\",\"a\":2,\"b\":4}\n"));
    EXPECT_THAT(text, EndsWith("\"msg\":\"second\"}\n"));
}

TEST_F(LogTest, LevelHidesAndCanChange) {
    StartLog(Options());
    OPENSEND_LOG(kDebug, "x", "hidden");
    SetLogLevel(LogLevel::kDebug);
    OPENSEND_LOG(kDebug, "x", "shown");
    const auto text = Written();
    EXPECT_THAT(text, Not(HasSubstr("hidden")));
    EXPECT_THAT(text, HasSubstr("shown"));
}

TEST_F(LogTest, TextFormatCannotDriveATerminal) {
    auto options = Options();
    options.json = false;
    StartLog(options);
    OPENSEND_LOG(kWarn, "x.y", "msg\x1b[2J", kv("v", "a\x1b[31m\nb\xc2\x9b\x7f\xff\"\\"));
    EXPECT_EQ(
        Written(),
        "2026-03-02T10:00:00.123Z WARN x.y: msg\\u001b[2J "
        "v=\"a\\u001b[31m\\nb\\u009b\\u007f\xef\xbf\xbd\\\"\\\\\"\n"
    );
}

TEST_F(LogTest, LinesStayWithin16KiB) {
    StartLog(Options());
    const std::string big(40'000, '\x01');
    OPENSEND_LOG(kInfo, "x", "big", kv("one", big), kv("two", std::string(7000, 'x')), kv("z", 1));
    const auto text = Written();
    EXPECT_LE(text.size(), 16u * 1024);
    EXPECT_THAT(text, HasSubstr("\"z\":1,\"truncated\":true}\n"));
}

TEST_F(LogTest, AStalledReaderBlocksNobodyAndDropsAreCounted) {
    auto options = Options();
    options.max_lines = 10;
    const auto before = LogLinesDropped();
    StartLog(options);
    const std::string filler(8000, 'x');
    for (int i = 0; i < 100; ++i) OPENSEND_LOG(kInfo, "x", "fill", kv("v", filler));
    EXPECT_GT(LogLinesDropped(), before);
    // The reader comes back before the log ends: the gap is told.
    std::string text;
    std::thread reader([&] {
        char buffer[65536];
        while (text.find("log.dropped") == std::string::npos) {
            const ssize_t n = ::read(pipe_[0], buffer, sizeof buffer);
            if (n <= 0) break;
            text.append(buffer, static_cast<size_t>(n));
        }
    });
    reader.join();
    EXPECT_THAT(text, HasSubstr("log.dropped"));
}

TEST_F(LogTest, EndingWithAStalledReaderEnds) {
    auto options = Options();
    options.max_lines = 100;
    StartLog(options);
    const std::string filler(8000, 'x');
    for (int i = 0; i < 50; ++i) OPENSEND_LOG(kInfo, "x", "fill", kv("v", filler));
    StopLog();
    SUCCEED();
}

}  // namespace
}  // namespace opensend::runtime
