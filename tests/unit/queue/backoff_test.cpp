#include <chrono>
#include <limits>

#include <gmock/gmock.h>

#include "kernel/queue/queue_store.h"

namespace opensend::queue {
namespace {

using std::chrono::duration_cast;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr double kMiddle = 0.5;  // no jitter

TEST(RetryDelay, ClimbsTheLadderAndStaysOnTop) {
    const seconds ladder[] = {seconds(15), minutes(1), minutes(5), minutes(15), minutes(30),
                              hours(1),    hours(2),   hours(4),   hours(6),    hours(6)};
    for (size_t i = 0; i < std::size(ladder); ++i) {
        EXPECT_EQ(RetryDelay(static_cast<int64_t>(i) + 1, kMiddle), ladder[i]) << i;
    }
    EXPECT_EQ(RetryDelay(std::numeric_limits<int64_t>::max(), kMiddle), hours(6));
}

TEST(RetryDelay, BeforeTheFirstAttemptIsTheFirstStep) {
    EXPECT_EQ(RetryDelay(0, kMiddle), seconds(15));
    EXPECT_EQ(RetryDelay(-5, kMiddle), seconds(15));
}

TEST(RetryDelay, JitterStaysWithinATenth) {
    for (int64_t tries = 1; tries < 12; ++tries) {
        const auto middle = RetryDelay(tries, kMiddle);
        for (double random01 = 0; random01 < 1; random01 += 0.01) {
            const auto delay = RetryDelay(tries, random01);
            EXPECT_GE(delay, middle * 9 / 10);
            EXPECT_LE(delay, middle * 11 / 10);
        }
        EXPECT_LT(RetryDelay(tries, 0.0), middle);
        EXPECT_GT(RetryDelay(tries, 0.999), middle);
    }
}

TEST(ThrottleDelay, DoublesFromFiveSecondsToFiveMinutes) {
    const int64_t wanted[] = {5, 10, 20, 40, 80, 160, 300, 300, 300};
    for (size_t i = 0; i < std::size(wanted); ++i) {
        EXPECT_EQ(ThrottleDelay(static_cast<int64_t>(i), kMiddle), seconds(wanted[i])) << i;
    }
    EXPECT_EQ(ThrottleDelay(std::numeric_limits<int64_t>::max(), kMiddle), minutes(5));
    EXPECT_EQ(ThrottleDelay(-1, kMiddle), seconds(5));
}

TEST(ThrottleDelay, JitterStaysWithinATenth) {
    for (int64_t throttles = 0; throttles < 8; ++throttles) {
        const auto middle = ThrottleDelay(throttles, kMiddle);
        EXPECT_EQ(ThrottleDelay(throttles, 0.0), middle * 9 / 10);
        EXPECT_LE(ThrottleDelay(throttles, 0.9999), middle * 11 / 10);
    }
}

}  // namespace
}  // namespace opensend::queue
