#include "kernel/http/message.h"

#include <gtest/gtest.h>

#include "kernel/base/time.h"
#include "kernel/http/response_writer.h"

namespace opensend::http {
namespace {

TEST(Headers, NamesCompareWithoutCase) {
    Headers headers;
    headers.Add("Accept", "a");
    headers.Add("X-Y", "1");
    headers.Add("accept", "b");
    EXPECT_EQ(headers.Find("ACCEPT"), "a");
    EXPECT_EQ(headers.Count("Accept"), 2U);
    EXPECT_EQ(headers.Joined("accepT"), "a, b");
    headers.Set("ACCEPT", "c");
    EXPECT_EQ(headers.Joined("accept"), "c");
    EXPECT_EQ(headers.all().size(), 2U);
    EXPECT_EQ(headers.Find("Accep"), std::nullopt);
}

TEST(HeadersDeathTest, LineBreaksAreABug) {
    Headers headers;
    EXPECT_DEATH(headers.Add("X", "a\r\nY: b"), "line");
    EXPECT_DEATH(headers.Add("X\n", "a"), "line");
    EXPECT_DEATH(headers.Add("X", std::string_view("a\0b", 3)), "line");
}

TEST(WriteHead, OwnFieldsOfTheServerWin) {
    Response response;
    response.status = 201;
    response.headers.Add("Content-Length", "99");
    response.headers.Add("transfer-encoding", "chunked");
    response.headers.Add("X-A", "b");
    response.body = "abc";
    EXPECT_EQ(
        WriteHead(response, {.date = "D", .keep_alive = false}),
        "HTTP/1.1 201 Created\r\nDate: D\r\nX-A: b\r\nContent-Length: 3\r\nConnection: "
        "close\r\n\r\n"
    );
    response.status = 204;
    EXPECT_EQ(
        WriteHead(response, {.date = "D"}), "HTTP/1.1 204 No Content\r\nDate: D\r\nX-A: b\r\n\r\n"
    );
}

TEST(HttpDate, IsWrittenInGmt) {
    EXPECT_EQ(
        FormatHttpDate(*base::ParseIso("1994-11-06T08:49:37Z")), "Sun, 06 Nov 1994 08:49:37 GMT"
    );
}

}  // namespace
}  // namespace opensend::http
