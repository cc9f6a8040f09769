#include "kernel/http/uri.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/base/text.h"

namespace opensend::http {
namespace {

using ::testing::ElementsAre;
using Segments = std::vector<std::string>;

TEST(SplitPath, DecodesSegmentsOnce) {
    EXPECT_EQ(SplitPath("/"), Segments{});
    EXPECT_EQ(SplitPath("/emails"), Segments{"emails"});
    EXPECT_EQ(SplitPath("/emails/"), Segments{"emails"});
    EXPECT_EQ(SplitPath("/a%20b/c+d/%2525"), (Segments{"a b", "c+d", "%25"}));
    EXPECT_EQ(SplitPath("/%C3%A9"), Segments{"\xc3\xa9"});
    EXPECT_EQ(SplitPath("/..."), Segments{"..."});
    EXPECT_EQ(SplitPath("/a@b.c"), Segments{"a@b.c"});
}

TEST(SplitPath, StripsOneApiSegment) {
    EXPECT_EQ(SplitPath("/api"), Segments{});
    EXPECT_EQ(SplitPath("/api/"), Segments{});
    EXPECT_EQ(SplitPath("/api/emails"), Segments{"emails"});
    EXPECT_EQ(SplitPath("/api/api/emails"), (Segments{"api", "emails"}));
    EXPECT_EQ(SplitPath("/API/emails"), (Segments{"API", "emails"}));
    EXPECT_EQ(SplitPath("/apis"), Segments{"apis"});
    EXPECT_EQ(SplitPath("/emails/api"), (Segments{"emails", "api"}));
}

TEST(SplitPath, FindsNoRouteInDoubtfulPaths) {
    for (const char* path :
         {"",      "*",      "x",      "//",     "///",     "/a//",      "/a//b",
          "//a",   "/.",     "/..",    "/a/./b", "/a/../b", "/%2e",      "/%2E%2e/a",
          "/.%2e", "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b",   "/a%00b",    "/%",
          "/%4",   "/%zz",   "/%+1",   "/%ff",   "/%c0%af", "/%ed%a0%80"}) {
        EXPECT_EQ(SplitPath(path), std::nullopt) << path;
    }
}

TEST(ParseQuery, DecodesNamesAndValues) {
    const auto query = ParseQuery("a=1&b=x+y%21&&c&d=&a=2&e=f=g&%61=3");
    ASSERT_TRUE(query);
    EXPECT_EQ(query->Find("a"), "1");
    EXPECT_THAT(query->All("a"), ElementsAre("1", "2", "3"));
    EXPECT_EQ(query->Find("b"), "x y!");
    EXPECT_EQ(query->Find("c"), "");
    EXPECT_EQ(query->Find("d"), "");
    EXPECT_EQ(query->Find("e"), "f=g");
    EXPECT_EQ(query->Find("z"), std::nullopt);
    EXPECT_TRUE(ParseQuery("")->all().empty());
}

TEST(ParseQuery, RefusesWhatIsNotText) {
    for (const char* text : {"a=%", "a=%1", "%zz=1", "a=%00", "a=%ff", "a=%c3", "a=1&b=%g0"}) {
        EXPECT_FALSE(ParseQuery(text)) << text;
    }
}

TEST(ParseQuery, HoldsAHundredParameters) {
    std::string text = "a=1";
    for (int i = 1; i < 100; ++i) text += "&a=1";
    EXPECT_TRUE(ParseQuery(text));
    EXPECT_FALSE(ParseQuery(text + "&a=1"));
}

TEST(PercentEncode, EscapesAllButUnreserved) {
    EXPECT_EQ(PercentEncode("aZ09-._~"), "aZ09-._~");
    EXPECT_EQ(PercentEncode("a b/c+d%\xc3\xa9"), "a%20b%2Fc%2Bd%25%C3%A9");
    std::string all;
    for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
    EXPECT_EQ(PercentDecode(PercentEncode(all)), all);
}

}  // namespace
}  // namespace opensend::http
