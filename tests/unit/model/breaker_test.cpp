#include "kernel/model/breaker.h"

#include <gtest/gtest.h>

namespace opensend::model {
namespace {

using State = Breaker::State;

base::MonoTime At(int seconds) { return base::MonoTime{int64_t{seconds} * 1'000'000'000}; }

TEST(Breaker, ARestIsOpenUntilItsEndAndThenLetsOneCallThrough) {
    SharedBreaker breaker;
    EXPECT_TRUE(breaker.Admit(At(1)));
    breaker.RestUntil(At(4));
    EXPECT_EQ(breaker.state(At(3)), State::kOpen);
    EXPECT_FALSE(breaker.Admit(At(3)));
    EXPECT_EQ(breaker.state(At(4)), State::kHalfOpen);
    EXPECT_TRUE(breaker.Admit(At(4)));
    EXPECT_FALSE(breaker.Admit(At(4)));
    breaker.Report(ResultClass::kOk, At(5));
    EXPECT_EQ(breaker.state(At(5)), State::kClosed);
}

TEST(Breaker, ARestCountsWhateverIsReportedMeanwhile) {
    SharedBreaker breaker;
    breaker.RestUntil(At(4));
    for (int i = 0; i < 10; ++i) breaker.Report(ResultClass::kOkUnknown, At(2));
    EXPECT_EQ(breaker.state(At(4)), State::kHalfOpen);
    breaker.RestUntil(At(8));
    EXPECT_EQ(breaker.state(At(7)), State::kOpen);
}

TEST(Breaker, AProbeThatWasNotTriedMakesRoomForAnother) {
    SharedBreaker breaker;
    breaker.RestUntil(At(1));
    EXPECT_TRUE(breaker.Admit(At(2)));
    EXPECT_FALSE(breaker.Admit(At(2)));
    breaker.Report(ResultClass::kNotTried, At(2));
    EXPECT_EQ(breaker.state(At(2)), State::kHalfOpen);
    EXPECT_TRUE(breaker.Admit(At(2)));
}

TEST(Breaker, WhatIsTakenOutStaysOpen) {
    SharedBreaker breaker;
    breaker.Hold();
    breaker.RestUntil(At(1));
    breaker.Report(ResultClass::kOk, At(2));
    EXPECT_EQ(breaker.state(At(3)), State::kOpen);
    EXPECT_FALSE(breaker.Admit(At(3)));
}

}  // namespace
}  // namespace opensend::model
