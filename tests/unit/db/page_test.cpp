#include "kernel/db/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace opensend::db {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Page, OneRowTooManyMeansMore) {
    PageRequest request;
    request.limit = 2;
    EXPECT_EQ(request.fetch(), 3);
    const auto page = TrimPage(std::vector<int>{9, 8, 7}, request);
    EXPECT_THAT(page.rows, ElementsAre(9, 8));
    EXPECT_TRUE(page.has_more);
    EXPECT_FALSE(TrimPage(std::vector<int>{9, 8}, request).has_more);
}

TEST(Page, BackwardsRowsComeOutInTheOrderOfTheList) {
    PageRequest request;
    request.limit = 2;
    request.before = "5";
    // Read away from the cursor: 6 is next to it, 8 is the one too many.
    const auto page = TrimPage(std::vector<int>{6, 7, 8}, request);
    EXPECT_THAT(page.rows, ElementsAre(7, 6));
    EXPECT_TRUE(page.has_more);
    EXPECT_THAT(TrimPage(std::vector<int>{}, request).rows, IsEmpty());
}

}  // namespace
}  // namespace opensend::db
