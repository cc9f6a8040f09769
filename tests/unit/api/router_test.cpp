#include "kernel/api/router.h"

#include <gmock/gmock.h>

namespace opensend::api {
namespace {

using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

class RouterTest : public testing::Test {
protected:
    RouterTest() {
        Add(Method::POST, "/emails");
        Add(Method::GET, "/emails");
        Add(Method::GET, "/emails/:id");
        Add(Method::PATCH, "/emails/:id");
        Add(Method::POST, "/emails/batch");
        Add(Method::DELETE, "/emails/:id/attachments/:attachment");
        Add(Method::GET, "/emails/:id/attachments/latest");
    }

    void Add(Method method, std::string path) {
        router_.Add({method, std::move(path), model::RouteClass::kRead, {}, nullptr});
    }
    /// "GET /emails/:id" of what answers, "405" or "404".
    std::string Find(std::string_view method, std::string_view path) const {
        const Router::Match match = router_.Find(method, path);
        if (match.allow.empty()) return "404";
        if (match.route == nullptr) return "405";
        return std::string(ToText(match.route->method)) + " " + match.route->path;
    }

    Router router_;
};

TEST_F(RouterTest, FindsByMethodAndPath) {
    EXPECT_EQ(Find("POST", "/emails"), "POST /emails");
    EXPECT_EQ(Find("GET", "/emails"), "GET /emails");
    EXPECT_EQ(Find("GET", "/emails/abc"), "GET /emails/:id");
}

TEST_F(RouterTest, ALiteralSegmentWinsOverAParameter) {
    EXPECT_EQ(Find("POST", "/emails/batch"), "POST /emails/batch");
    EXPECT_EQ(Find("GET", "/emails/1/attachments/latest"), "GET /emails/:id/attachments/latest");
    EXPECT_EQ(
        Find("DELETE", "/emails/1/attachments/2"), "DELETE /emails/:id/attachments/:attachment"
    );
}

TEST_F(RouterTest, ParametersAreDecodedOnce) {
    const auto match = router_.Find("DELETE", "/emails/a%2Db/attachments/c%2525");
    ASSERT_NE(match.route, nullptr);
    EXPECT_THAT(match.params, UnorderedElementsAre(Pair("id", "a-b"), Pair("attachment", "c%25")));
    EXPECT_THAT(router_.Find("GET", "/emails").params, IsEmpty());
}

TEST_F(RouterTest, HeadIsAnsweredByGet) {
    EXPECT_EQ(Find("HEAD", "/emails/1"), "GET /emails/:id");
    EXPECT_EQ(Find("HEAD", "/emails/batch"), "405");
}

TEST_F(RouterTest, AnotherMethodIsToldWhatThereIs) {
    EXPECT_EQ(Find("PUT", "/emails"), "405");
    EXPECT_EQ(router_.Find("PUT", "/emails").allow, "GET, HEAD, POST, OPTIONS");
    EXPECT_EQ(router_.Find("OPTIONS", "/emails/1").allow, "GET, HEAD, PATCH, OPTIONS");
    EXPECT_EQ(router_.Find("get", "/emails").route, nullptr);
}

TEST_F(RouterTest, AnUnknownPathHasNothingToOffer) {
    for (const char* path :
         {"/", "/email", "/emails/1/2", "/Emails", "/emails//1", "/emails/%00", "/emails/%zz",
          "/emails/..", "/emails/a%2fb", "", "emails"}) {
        EXPECT_EQ(Find("GET", path), "404") << path;
    }
}

TEST_F(RouterTest, APrefixAndATrailingSlashDoNotMatter) {
    EXPECT_EQ(Find("GET", "/api/emails/1"), "GET /emails/:id");
    EXPECT_EQ(Find("GET", "/emails/"), "GET /emails");
}

class RouterDeathTest : public RouterTest {};

TEST_F(RouterDeathTest, TwoHandlersForOneRouteAreABug) {
    EXPECT_DEATH(Add(Method::GET, "/emails/:id"), "one handler per route");
}

}  // namespace
}  // namespace opensend::api
