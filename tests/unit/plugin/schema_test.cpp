#include "kernel/plugin/load/schema.h"

#include <gtest/gtest.h>

namespace opensend::plugin {
namespace {

/// The configuration as the plugin gets it, or the problem's line.
std::string Applied(std::string_view schema, std::string_view config) {
    const auto out = ApplySchema(schema, config);
    return out.ok() ? *out : Describe("p", out.error());
}

TEST(Schema, TheProblemNamesThePath) {
    constexpr std::string_view kSchema = R"({"type":"object","required":["api_key"],
        "additionalProperties":false,"properties":{
        "api_key":{"$ref":"opensend:secret"},
        "region":{"enum":["eu","us"]},
        "pool":{"type":"object","properties":{"size":{"type":"integer","minimum":1,"maximum":9}}},
        "hosts":{"type":"array","minItems":1,"items":{"type":"string","maxLength":4}}}})";
    const std::pair<const char*, const char*> cases[] = {
        {R"({})",                                                  "p: config: expected a value at api_key, found none"    },
        {R"({"api_key":"x"})",
         "p: config: expected a secret (secret:<name> or file:<path>) at api_key, found string"                            },
        {R"({"api_key":{"$secret":"a"},"regio":"eu"})",
         "p: config: expected only keys of the schema at the top, found regio"                                             },
        {R"({"api_key":{"$secret":"a"},"region":"mars"})",
         R"(p: config: expected one of "eu", "us" at region, found another value)"                                         },
        {R"({"api_key":{"$secret":"a"},"pool":{"size":0}})",
         "p: config: expected at least 1 at pool.size, found a smaller number"                                             },
        {R"({"api_key":{"$secret":"a"},"pool":{"size":1.5}})",
         "p: config: expected integer at pool.size, found number"                                                          },
        {R"({"api_key":{"$secret":"a"},"hosts":["a","abcde"]})",
         "p: config: expected at most 4 characters at hosts.1, found 5"                                                    },
        {R"({"api_key":{"$secret":"a"},"hosts":{"$secret":"b"}})",
         "p: config: expected array at hosts, found a secret"                                                              },
        {R"([])",                                                  "p: config: expected a JSON object, found another value"},
    };
    for (const auto& [config, line] : cases) EXPECT_EQ(Applied(kSchema, config), line);
    EXPECT_EQ(
        Applied(kSchema, R"({"api_key":{"$secret":"acme"},"region":"eu"})"),
        R"({"api_key":{"$secret":"acme"},"region":"eu"})"
    );
}

TEST(Schema, NoValueOfTheConfigurationIsInAProblem) {
    const std::string line = Applied(
        R"({"properties":{"password":{"$ref":"opensend:secret"}}})", R"({"password":"hush"})"
    );
    EXPECT_EQ(line.find("hush"), std::string::npos) << line;
}

TEST(Schema, TextsBecomeWhatTheSchemaAsksFor) {
    constexpr std::string_view kSchema = R"({"properties":{"n":{"type":"integer","maximum":5},
        "f":{"type":"number"},"b":{"type":"boolean"},"l":{"type":"array","items":{"type":"string"}},
        "o":{"type":"object"},"t":{"type":["integer","string"]}}})";
    EXPECT_EQ(
        Applied(kSchema, R"({"n":"3","f":"0.5","b":"true","l":"a, b","o":"{\"x\":1}","t":"7"})"),
        R"({"n":3,"f":0.5,"b":true,"l":["a","b"],"o":{"x":1},"t":"7"})"
    );
    EXPECT_EQ(
        Applied(kSchema, R"({"n":"6"})"),
        "p: config: expected at most 5 at n, found a greater number"
    );
    EXPECT_EQ(Applied(kSchema, R"({"b":"yes"})"), "p: config: expected boolean at b, found string");
}

TEST(Schema, AlternativesAndConstantsHold) {
    constexpr std::string_view kSchema = R"({"properties":{"u":{"anyOf":[{"type":"string"},
        {"$ref":"opensend:secret"}]},"c":{"const":4}},"additionalProperties":{"type":"string"}})";
    EXPECT_EQ(Applied(kSchema, R"({"u":"me"})"), R"({"u":"me"})");
    EXPECT_EQ(Applied(kSchema, R"({"u":{"$secret":"x"}})"), R"({"u":{"$secret":"x"}})");
    EXPECT_EQ(Applied(kSchema, R"({"u":3})"), "p: config: expected string at u, found integer");
    EXPECT_EQ(
        Applied(kSchema, R"({"c":5})"), "p: config: expected one of 4 at c, found another value"
    );
    EXPECT_EQ(Applied(kSchema, R"({"z":5})"), "p: config: expected string at z, found integer");
}

TEST(Schema, WithoutASchemaEveryObjectIsGood) {
    EXPECT_EQ(Applied("", R"({"a": 1})"), R"({"a": 1})");
    EXPECT_EQ(Applied("{}", R"({"a": 1})"), R"({"a":1})");
    EXPECT_EQ(Applied("", "7"), "p: config: expected a JSON object, found another value");
}

TEST(Schema, WordsBeyondTheSubsetAreRefused) {
    const std::pair<const char*, const char*> cases[] = {
        {R"({"oneOf":[{}]})",                      "words of the schema subset at config_schema.k, found oneOf"    },
        {R"({"properties":{"a":{"$ref":"#/x"}}})",
         "a usable \"$ref\" at config_schema.k.a, found another value"                                             },
        {R"({"type":"text"})",                     "a usable \"type\" at config_schema.k, found another value"     },
        {R"({"minLength":-1})",                    "a usable \"minLength\" at config_schema.k, found another value"},
        {R"({"required":"a"})",                    "a usable \"required\" at config_schema.k, found another value" },
        {R"({"items":[]})",                        "a usable \"items\" at config_schema.k, found another value"    },
        {R"({"anyOf":[]})",                        "a usable \"anyOf\" at config_schema.k, found another value"    },
        {R"([])",                                  "a schema object at config_schema.k, found something else"      },
    };
    for (const auto& [schema, line] : cases) {
        const auto document = json::Document::Parse(schema);
        const auto problem = CheckSchema(document->root(), "k");
        ASSERT_TRUE(problem) << schema;
        EXPECT_EQ(Describe("p", *problem), base::Cat("p: manifest: expected ", line));
    }
    std::string deep = "{}";
    for (int i = 0; i < 15; ++i) deep = R"({"items":)" + deep + "}";
    const auto within = json::Document::Parse(deep);
    EXPECT_FALSE(CheckSchema(within->root(), "k"));
    for (int i = 0; i < 4; ++i) deep = R"({"items":)" + deep + "}";
    const auto beyond = json::Document::Parse(deep);
    EXPECT_TRUE(CheckSchema(beyond->root(), "k"));
}

}  // namespace
}  // namespace opensend::plugin
