#include "kernel/resources/files/files_api.h"

#include <gmock/gmock.h>

namespace opensend::files {
namespace {

TEST(ServedType, NothingThatActsInAPageIsNamed) {
    EXPECT_EQ(ServedType("image/PNG; name=a"), "image/png");
    EXPECT_EQ(ServedType("application/pdf"), "application/pdf");
    for (const char* type :
         {"text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "application/xhtml+xml",
          "text/xml", "application/xml", "text/javascript", "application/ecmascript", "", "/", "a/",
          "/b", "text", "a/b/c", "text/html\r\nX: y", "im age/png"}) {
        EXPECT_EQ(ServedType(type), "application/octet-stream") << type;
    }
}

TEST(DownloadDisposition, CarriesNamesOfAnyScriptAndNothingElse) {
    EXPECT_EQ(DownloadDisposition("receipt.pdf"), R"(attachment; filename="receipt.pdf")");
    EXPECT_EQ(
        DownloadDisposition("Grüße.txt"),
        R"(attachment; filename="Gr__e.txt"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.txt)"
    );
    EXPECT_EQ(
        DownloadDisposition("a\"b\\c%.txt"),
        R"(attachment; filename="a_b_c_.txt"; filename*=UTF-8''a%22b%5Cc%25.txt)"
    );
    EXPECT_EQ(DownloadDisposition(""), "attachment");
    EXPECT_THAT(DownloadDisposition("a\r\nSet-Cookie: x"), testing::Not(testing::HasSubstr("\n")));
}

}  // namespace
}  // namespace opensend::files
