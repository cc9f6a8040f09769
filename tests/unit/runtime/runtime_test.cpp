#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <future>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/base/text.h"
#include "kernel/runtime/deadline.h"
#include "kernel/runtime/lifecycle.h"
#include "kernel/runtime/lru_cache.h"
#include "kernel/runtime/metric_table.h"
#include "kernel/runtime/metrics.h"
#include "kernel/runtime/periodic.h"

namespace opensend::runtime {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

class MovedClock final : public base::Clock {
public:
    base::Time Now() const override { return {}; }
    base::MonoTime Mono() const override { return now_; }
    void Move(std::chrono::nanoseconds by) { now_ = now_ + by; }

private:
    base::MonoTime now_{1'000};
};

TEST(Deadline, EndsAtItsTime) {
    MovedClock clock;
    const auto deadline = Deadline::After(clock, seconds(5));
    EXPECT_EQ(deadline.AtMost(seconds(2)).Remaining(), seconds(2));
    EXPECT_EQ(deadline.AtMost(seconds(9)).Remaining(), seconds(5));
    clock.Move(seconds(5));
    EXPECT_TRUE(deadline.Expired());
    clock.Move(seconds(5));
    EXPECT_EQ(deadline.Remaining(), seconds(0));
}

TEST(LruCache, DropsTheLeastUsedAndTheExpired) {
    MovedClock clock;
    LruCache<std::string, int> cache(clock, 2);
    cache.Put("a", 1, seconds(10));
    cache.Put("b", 2, seconds(20));
    EXPECT_EQ(cache.Find("a"), 1);
    cache.Put("c", 3, seconds(10));
    EXPECT_EQ(cache.Find("b"), std::nullopt);
    cache.Put("a", 4, seconds(5));
    EXPECT_EQ(cache.size(), 2u);
    clock.Move(seconds(5));
    EXPECT_EQ(cache.Find("a"), std::nullopt);
    EXPECT_EQ(cache.Find("c"), 3);
    cache.Erase("c");
    EXPECT_EQ(cache.size(), 0u);
}

TEST(Metrics, TextHasEveryKind) {
    Count("opensend_accept_total", {"rest", "quo\"te\n\\"}, 3);
    SetGauge("opensend_plugin_up", {"smtp"}, 1);
    SetGauge("opensend_http_in_flight", {}, 0);
    AddGauge("opensend_http_in_flight", {}, 2.5);
    AddGauge("opensend_http_in_flight", {}, -1);
    Observe("opensend_attempt_seconds", {"default"}, 0.004);
    Observe("opensend_attempt_seconds", {"default"}, 1000);
    const auto text = MetricsText();
    EXPECT_THAT(text, HasSubstr("# TYPE opensend_accept_total counter\n"));
    EXPECT_THAT(
        text, HasSubstr(R"(opensend_accept_total{entrance="rest",outcome="quo\"te\n\\"} 3)"
                        "\n")
    );
    EXPECT_THAT(text, HasSubstr("opensend_plugin_up{plugin=\"smtp\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("opensend_http_in_flight 1.5\n"));
    const std::string head = "opensend_attempt_seconds_bucket{transport=\"default\",le=";
    EXPECT_THAT(text, HasSubstr(head + "\"0.0025\"} 0\n"));
    EXPECT_THAT(text, HasSubstr(head + "\"0.005\"} 1\n"));
    EXPECT_THAT(text, HasSubstr(head + "\"60\"} 1\n"));
    EXPECT_THAT(text, HasSubstr(head + "\"+Inf\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("opensend_attempt_seconds_sum{transport=\"default\"} 1000.004\n"));
    EXPECT_THAT(text, HasSubstr("opensend_poison_total 0\n"));
}

TEST(Metrics, ALabelCannotFillTheMemory) {
    for (int i = 0; i < 1500; ++i) {
        Count("opensend_events_total", {std::string_view(base::Cat("type.", i))});
    }
    const auto text = MetricsText();
    EXPECT_THAT(text, HasSubstr("type=\"type.999\"} 1\n"));
    EXPECT_THAT(text, Not(HasSubstr("type.1000")));
    EXPECT_THAT(text, HasSubstr("opensend_events_total{type=\"other\"} 500\n"));
}

TEST(Metrics, UnknownNamesAndWrongLabelsAreBugs) {
    EXPECT_DEATH(Count("opensend_nothing"), "metric of the table");
    EXPECT_DEATH(Count("opensend_accept_total", {"one"}), "one value for each label");
    EXPECT_DEATH(SetGauge("opensend_claims_total", {}, 1), "used as its kind");
}

TEST(Periodic, RunsAgainAlsoAfterAnException) {
    std::atomic<int> runs = 0;
    std::promise<void> third;
    Periodic periodic("p", std::chrono::milliseconds(1), [&] {
        const int run = ++runs;
        if (run == 3) third.set_value();
        if (run == 1) throw std::runtime_error("first run fails");
    });
    third.get_future().wait();
}

TEST(Periodic, RunSoonDoesNotWait) {
    std::atomic<int> runs = 0;
    std::promise<void> first, second;
    Periodic periodic("p", std::chrono::hours(1), [&] {
        (++runs == 1 ? first : second).set_value();
    });
    first.get_future().wait();
    periodic.RunSoon();
    second.get_future().wait();
}

TEST(Lifecycle, SecondSignalEndsTheProcessAtOnce) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            BlockSignals();
            ::kill(::getpid(), SIGPIPE);
            int hangups = 0;
            ::kill(::getpid(), SIGHUP);
            WaitForStop([&hangups] {
                ++hangups;
                ::kill(::getpid(), SIGTERM);
            });
            if (hangups == 1) ::kill(::getpid(), SIGINT);
            ::pause();
        },
        ::testing::ExitedWithCode(130), ""
    );
}

TEST(Lifecycle, SystemdIsToldOverItsSocket) {
    ::unsetenv("NOTIFY_SOCKET");
    EXPECT_FALSE(NotifySystemd("READY=1"));
    char dir[] = "/tmp/opensend_notify_XXXXXX";
    ASSERT_NE(::mkdtemp(dir), nullptr);
    const std::string path = std::string(dir) + "/s";
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    EXPECT_TRUE(NotifySystemd("READY=1"));
    char got[32] = {};
    EXPECT_EQ(::recv(fd, got, sizeof got, 0), 7);
    EXPECT_STREQ(got, "READY=1");
    ::unsetenv("NOTIFY_SOCKET");
    ::close(fd);
    ::unlink(path.c_str());
    ::rmdir(dir);
}

}  // namespace
}  // namespace opensend::runtime
