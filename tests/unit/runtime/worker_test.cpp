#include "kernel/runtime/worker.h"

#include <pthread.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace opensend::runtime {
namespace {

using std::chrono::hours;

TEST(Worker, IsNamedAndStopsWhenItsOwnerEnds) {
    std::promise<std::string> named;
    std::atomic<bool> ended = false;
    {
        const Worker worker("a-rather-long-thread-name", [&](StopToken& stop) {
            char name[16] = {};
            pthread_getname_np(pthread_self(), name, sizeof name);
            named.set_value(name);
            while (!stop.stopped()) stop.SleepFor(hours(1));
            ended = true;
        });
        EXPECT_EQ(named.get_future().get(), "a-rather-long-t");
    }
    EXPECT_TRUE(ended);
}

TEST(Worker, AWakeUpBeforeTheSleepIsNotLost) {
    StopToken token;
    token.Wake();
    EXPECT_FALSE(token.SleepFor(hours(1)));
    EXPECT_TRUE(token.SleepFor(std::chrono::milliseconds(1)));
    token.Stop();
    EXPECT_FALSE(token.SleepFor(std::chrono::milliseconds::max()));
}

TEST(Worker, WakeEndsTheSleepOfTheBody) {
    std::promise<bool> slept;
    Worker worker("w", [&](StopToken& stop) { slept.set_value(stop.SleepFor(hours(1))); });
    worker.Wake();
    EXPECT_FALSE(slept.get_future().get());
}

TEST(Worker, RunsAgainAfterAnException) {
    std::atomic<int> runs = 0;
    std::promise<void> second;
    Worker worker("w", [&](StopToken&) {
        if (++runs == 1) throw std::runtime_error("first run fails");
        second.set_value();
    });
    worker.Wake();
    EXPECT_EQ(second.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
    EXPECT_EQ(runs, 2);
}

TEST(WorkerPool, RefusesWhatDoesNotFitAndFinishesTheRest) {
    std::promise<void> started;
    std::promise<void> release;
    std::atomic<int> done = 0;
    {
        WorkerPool pool("pool", 1, 2);
        EXPECT_TRUE(pool.Run([&] {
            started.set_value();
            release.get_future().wait();
            ++done;
        }));
        started.get_future().wait();
        EXPECT_TRUE(pool.Run([&] { ++done; }));
        EXPECT_TRUE(pool.Run([&] { ++done; }));
        EXPECT_FALSE(pool.Run([&] { done += 100; }));
        EXPECT_EQ(pool.queued(), 2u);
        release.set_value();
    }
    EXPECT_EQ(done, 3);
}

TEST(WorkerPool, AThreadThatHangsIsReplacedAndGivesWayWhenItReturns) {
    std::promise<void> release, started, other;
    std::atomic<int> together = 0, most = 0;
    WorkerPool pool("pool", 1, 100);
    EXPECT_TRUE(pool.Run([&] {
        started.set_value();
        release.get_future().wait();
        pool.DropThread();
    }));
    started.get_future().wait();
    pool.AddThread();
    EXPECT_TRUE(pool.Run([&] { other.set_value(); }));
    other.get_future().get();
    release.set_value();
    std::promise<void> last;
    for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(pool.Run([&, i] {
            const int now = ++together;
            if (i > 10 && now > most) most = now;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            --together;
            if (i == 49) last.set_value();
        }));
    }
    last.get_future().get();
    EXPECT_EQ(most, 1) << "one of the two has ended";
}

TEST(WorkerPool, ATaskThatThrowsEndsNothing) {
    std::promise<void> after;
    WorkerPool pool("pool", 1, 10);
    EXPECT_TRUE(pool.Run([] { throw std::runtime_error("task"); }));
    EXPECT_TRUE(pool.Run([] { throw 7; }));
    EXPECT_TRUE(pool.Run([&] { after.set_value(); }));
    after.get_future().get();
}

}  // namespace
}  // namespace opensend::runtime
