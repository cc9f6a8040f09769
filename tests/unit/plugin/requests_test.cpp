#include "kernel/plugin/load/requests.h"

#include <gtest/gtest.h>

namespace opensend::plugin {
namespace {

using Given = std::map<std::string, std::string>;

/// What is missing when a manifest with these grants meets these settings; "" when nothing is.
std::string Missing(const std::string& grants, const Given& given) {
    const auto requests = ReadGrantRequests(R"({"grants":)" + grants + "}");
    if (!requests.ok()) return Describe("acme", requests.error());
    const auto problem = CompareGrants(*requests, given, "acme");
    return problem ? Describe("acme", *problem) : "";
}

TEST(Grants, AListCoversItsElementsAndWhatItsStarsMean) {
    const std::string wanted = R"({"secrets":["acme/prod","acme/test"]})";
    EXPECT_EQ(
        Missing(
            wanted,
            {
                {"secrets", "acme/prod, acme/test, more"}
    }
        ),
        ""
    );
    EXPECT_EQ(
        Missing(
            wanted,
            {
                {"secrets", "acme/*"}
    }
        ),
        ""
    );
    EXPECT_EQ(
        Missing(
            wanted,
            {
                {"secrets", "*"}
    }
        ),
        ""
    );
    EXPECT_EQ(
        Missing(
            wanted,
            {
                {"secrets", "acme/prod"}
    }
        ),
        "acme: grants: expected plugins.acme.grants.secrets to give acme/test, found acme/prod"
    );
    EXPECT_EQ(
        Missing(wanted, {}),
        "acme: grants: expected plugins.acme.grants.secrets to give acme/prod, found nothing"
    );
    EXPECT_NE(
        Missing(
            R"({"secrets":["acme"]})",
            {
                {"secrets", "acme/*"}
    }
        ),
        ""
    );
    EXPECT_NE(
        Missing(
            R"({"secrets":["*"]})",
            {
                {"secrets", "acme/*"}
    }
        ),
        ""
    );
    EXPECT_NE(
        Missing(
            R"({"http":["https://a.example:443"]})",
            {
                {"http", "https://a.example"}
    }
        ),
        ""
    );
}

TEST(Grants, NumbersCoverSmallerOnes) {
    EXPECT_EQ(
        Missing(
            R"({"kv":"1MiB","threads":4})",
            {
                {"kv",      "1024KiB"},
                {"threads", "4"      }
    }
        ),
        ""
    );
    EXPECT_EQ(
        Missing(
            R"({"kv":"1MiB"})",
            {
                {"kv", "1000KiB"}
    }
        ),
        "acme: grants: expected plugins.acme.grants.kv to give 1MiB, found 1000KiB"
    );
    EXPECT_NE(
        Missing(
            R"({"threads":4})",
            {
                {"threads", "3"}
    }
        ),
        ""
    );
    EXPECT_NE(
        Missing(
            R"({"threads":4})",
            {
                {"threads", "many"}
    }
        ),
        ""
    );
    EXPECT_EQ(Missing(R"({"threads":0,"timers":false})", {}), "");
    EXPECT_NE(
        Missing(
            R"({"timers":true})",
            {
                {"timers", "yes"}
    }
        ),
        ""
    );
    EXPECT_EQ(
        Missing(
            R"({"timers":true})",
            {
                {"timers", "true"}
    }
        ),
        ""
    );
}

TEST(Grants, WhatCannotBeUnderstoodIsRefused) {
    EXPECT_EQ(
        Missing(
            R"({"root":true})",
            {
                {"root", "true"}
    }
        ),
        "acme: grants: expected grants of this server, found root"
    );
    for (const char* grants :
         {"[]", R"({"http":"x"})", R"({"http":["a,b"]})", R"({"http":["a b"]})", R"({"kv":"1TB"})",
          R"({"kv":-1})", R"({"kv":"99999999999GiB"})", R"({"threads":1.5})",
          R"({"timers":"true"})", R"({"secrets":["\u001b"]})"})
        EXPECT_NE(
            Missing(
                grants,
                {
                    {"http",    "*"   },
                    {"secrets", "*"   },
                    {"timers",  "true"}
        }
            ),
            ""
        ) << grants;
}

TEST(Grants, OnlyOurOwnPluginsAreShipped) {
    EXPECT_TRUE(IsShipped("smtp", "opensend.smtp"));
    EXPECT_FALSE(IsShipped("smtp", "acme.smtp"));
    EXPECT_FALSE(IsShipped("acme", "opensend.acme"));
}

TEST(Interfaces, ExperimentalOnesNeedTheOperator) {
    EXPECT_TRUE(IsKnownInterface("opensend.transport/1", {}));
    EXPECT_FALSE(IsKnownInterface("opensend.transport/2", {}));
    EXPECT_FALSE(IsKnownInterface("x-opensend.foo/1", {}));
    EXPECT_TRUE(IsKnownInterface("x-opensend.foo/1", {"bar", "foo"}));
    EXPECT_FALSE(IsKnownInterface("opensend.foo/1", {"foo"}));
}

}  // namespace
}  // namespace opensend::plugin
