#include "kernel/plugin/grants.h"

#include <gmock/gmock.h>

namespace opensend::plugin {
namespace {

using testing::ElementsAre;

TEST(Grants, AManifestAsks) {
    const auto grants = ParseGrants(std::string_view(
        R"({"grants":{"http":["https://a.example:443"],"secrets":["acme/*"],"kv":"1MiB","timers":true,"threads":4,"changes":["headers"]}})"
    ));
    ASSERT_TRUE(grants.ok());
    EXPECT_THAT(
        grants->Lines(), ElementsAre(
                             "http=https://a.example:443", "secrets=acme/*", "kv=1048576", "timers",
                             "threads=4", "changes=headers"
                         )
    );
    EXPECT_EQ(*ParseGrants(std::string_view("{}")), Grants());
}

TEST(Grants, SettingsGiveTheSame) {
    const auto grants = ParseGrants(std::map<std::string, std::string>{
        {"http",   "https://a.example:443, https://b.example:443"},
        {"kv",     "64KiB"                                       },
        {"timers", "true"                                        }
    });
    ASSERT_TRUE(grants.ok());
    EXPECT_EQ(grants->http.size(), 2u);
    EXPECT_EQ(grants->kv_bytes, 65536u);
}

TEST(Grants, WhatMakesNoSenseIsNamed) {
    const std::map<std::string, std::string> bad = {
        {"kv",      "much" },
        {"timers",  "maybe"},
        {"threads", "-1"   },
        {"changes", "all"  },
        {"root",    "true" }
    };
    for (const auto& [name, value] : bad) {
        const auto grants = ParseGrants(std::map<std::string, std::string>{
            {name, value}
        });
        ASSERT_FALSE(grants.ok()) << name;
        EXPECT_EQ(grants.error().step, "grants." + name);
    }
    EXPECT_FALSE(ParseGrants(std::string_view(R"({"grants":[]})")).ok());
    EXPECT_FALSE(ParseGrants(std::string_view(R"({"grants":{"http":[1]}})")).ok());
    EXPECT_FALSE(ParseGrants(std::string_view(R"({"grants":{"kv":"2GiB"}})")).ok());
}

TEST(Grants, ASecretIsCoveredByItsNameOrFolder) {
    Grants grants;
    grants.secrets = {"acme/*", "exact"};
    EXPECT_TRUE(grants.CoversSecret("acme/prod"));
    EXPECT_TRUE(grants.CoversSecret("exact"));
    EXPECT_FALSE(grants.CoversSecret("acme"));
    EXPECT_FALSE(grants.CoversSecret("exactly"));
    EXPECT_FALSE(grants.CoversSecret("other/acme/prod"));
}

}  // namespace
}  // namespace opensend::plugin
