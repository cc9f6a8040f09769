#include <gtest/gtest.h>

#include "kernel/listeners/api/health_api.h"

namespace opensend::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::Time kNow{1'700'000'000'000'000};

Job::State StateOf(base::Duration age, milliseconds interval) {
    static constexpr std::string_view kWanted[] = {"events"};
    const auto jobs = JudgeJobs(
        kWanted,
        {
            {"events", kNow - age, interval}
    },
        kNow
    );
    return jobs.at(0).state;
}

TEST(Jobs, AreHealthyForThreeIntervalsAndWhileProcessesHaveNotTold) {
    EXPECT_EQ(StateOf(seconds(0), milliseconds(200)), Job::State::kHealthy);
    EXPECT_EQ(StateOf(seconds(15), milliseconds(200)), Job::State::kHealthy);
    EXPECT_EQ(StateOf(milliseconds(15'001), milliseconds(200)), Job::State::kStale);
    EXPECT_EQ(StateOf(seconds(30), seconds(10)), Job::State::kHealthy);
    EXPECT_EQ(StateOf(milliseconds(30'001), seconds(10)), Job::State::kStale);
}

TEST(Jobs, ThatNobodySawAreMissing) {
    static constexpr std::string_view kWanted[] = {"delivery", "events"};
    const auto jobs = JudgeJobs(
        kWanted,
        {
            {"events", kNow, seconds(1)},
            {"other",  kNow, seconds(1)}
    },
        kNow
    );
    ASSERT_EQ(jobs.size(), 2u);
    EXPECT_EQ(jobs[0].name, "delivery");
    EXPECT_EQ(jobs[0].state, Job::State::kMissing);
    EXPECT_EQ(jobs[1].state, Job::State::kHealthy);
    EXPECT_EQ(jobs[1].interval, seconds(1));
}

TEST(Jobs, OfAClockThatWentBackAreNotOlderThanNow) {
    EXPECT_EQ(StateOf(seconds(-5), milliseconds(200)), Job::State::kHealthy);
}

}  // namespace
}  // namespace opensend::health
