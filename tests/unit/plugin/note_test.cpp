#include "kernel/plugin/load/note.h"

#include <gtest/gtest.h>

namespace opensend::plugin {
namespace {

TEST(Manifest, NeedsIdVersionAndKinds) {
    EXPECT_TRUE(ParseManifest(R"({"id":"a.b","version":"1.0","kinds":["opensend.auth/1:x"]})").ok()
    );
    EXPECT_TRUE(
        ParseManifest(R"({"id":"a","version":"1","kinds":["opensend.inbound/1:inbound/ses-s3"]})")
            .ok()
    );
    for (const char* json :
         {"", "[]", "{", R"({"id":"a","version":"1"})", R"({"id":"a","version":"1","kinds":[]})",
          R"({"id":"a","version":"1","kinds":["opensend.auth:x"]})",
          R"({"id":"a","version":"1","kinds":["opensend.auth/1:"]})",
          R"({"id":"a","version":"1","kinds":["opensend.auth/one:x"]})",
          R"({"id":"a","version":"1","kinds":["opensend.auth/1:../x y"]})",
          R"({"id":"a\u001b[2J","version":"1","kinds":["opensend.auth/1:x"]})",
          R"({"id":"","version":"1","kinds":["opensend.auth/1:x"]})",
          R"({"id":7,"version":"1","kinds":["opensend.auth/1:x"]})"})
        EXPECT_FALSE(ParseManifest(json).ok()) << json;
}

TEST(Manifest, AProblemIsOneLine) {
    EXPECT_EQ(Describe("p", {"note", "this", "that"}), "p: note: expected this, found that");
}

}  // namespace
}  // namespace opensend::plugin
