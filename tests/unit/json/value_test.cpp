#include "kernel/json/value.h"

#include <cstdlib>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/base/text.h"

namespace opensend::json {
namespace {

using testing::HasSubstr;

Document MustParse(std::string_view text, const Limits& limits = {}) {
    auto document = Document::Parse(text, limits);
    EXPECT_TRUE(document.ok()) << text << ": " << (document.ok() ? "" : document.error().reason);
    return std::move(document).value();
}

std::string WhyRefused(std::string_view text, const Limits& limits = {}) {
    const auto document = Document::Parse(text, limits);
    if (document.ok()) return "accepted";
    return (document.error().too_complex ? "too complex: " : "") + document.error().reason;
}

std::string CanonicalOf(std::string_view text) { return Canonical(MustParse(text).root()); }

std::string Repeat(std::string_view piece, size_t times) {
    std::string out;
    for (size_t i = 0; i < times; ++i) out += piece;
    return out;
}

TEST(Parse, EveryKindIsReachable) {
    const auto document = MustParse(
        R"( {"s":"a\u00e9\n","b":true,"f":false,"n":null,"i":-7,"d":1.5,"a":[1,"x",[]],"o":{"k":{}}} )"
    );
    const Value root = document.root();
    ASSERT_TRUE(root.IsObject());
    EXPECT_EQ(root.size(), 8u);
    EXPECT_EQ(root.Find("s").AsString(), "a\u00e9\n");
    EXPECT_TRUE(root.Find("b").AsBool());
    EXPECT_FALSE(root.Find("f").AsBool());
    EXPECT_TRUE(root.Find("n").IsNull());
    EXPECT_TRUE(root.Find("n").IsAbsent());
    EXPECT_EQ(root.Find("i").AsInt(), -7);
    EXPECT_FALSE(root.Find("d").IsInt());
    EXPECT_EQ(root.Find("d").AsDouble(), 1.5);
    EXPECT_EQ(root.Find("a").size(), 3u);
    EXPECT_EQ(root.Find("a").At(1).AsString(), "x");
    EXPECT_EQ(root.Find("a").At(2).size(), 0u);
    EXPECT_TRUE(root.Find("o").Find("k").IsObject());
    EXPECT_TRUE(root.Find("zzz").IsMissing());
    EXPECT_TRUE(root.Find("s").Find("x").IsMissing());
    EXPECT_EQ(root.NameAt(7), "o");
    EXPECT_EQ(root.MemberAt(4).AsInt(), -7);
    EXPECT_EQ(Value().kind(), Kind::kMissing);
}

TEST(Parse, ValuesSurviveAMoveOfTheDocument) {
    auto first = MustParse(R"(["x"])");
    const Value root = first.root();
    const Document second = std::move(first);
    EXPECT_EQ(root.At(0).AsString(), "x");
    EXPECT_EQ(second.root().At(0).AsString(), "x");
}

TEST(Parse, ALeadingByteOrderMarkIsSkippedOnce) {
    EXPECT_EQ(MustParse("\xEF\xBB\xBF[1]").root().size(), 1u);
    EXPECT_THAT(WhyRefused("\xEF\xBB\xBF\xEF\xBB\xBF[1]"), HasSubstr("at byte 3"));
}

TEST(Parse, WrongGrammarIsRefusedWithItsPlace) {
    const std::pair<std::string_view, std::string_view> kCases[] = {
        {"",                  "the text is empty"                    },
        {"  ",                "the text is empty"                    },
        {"{} x",              "more text follows the value at byte 3"},
        {"[1,]",              "a value was expected at byte 3"       },
        {"{\"a\":1,}",        "a key in double quotes"               },
        {"{a:1}",             "a key in double quotes"               },
        {"{\"a\" 1}",         "a colon"                              },
        {"{\"a\":1",          "closing brace"                        },
        {"[1 2]",             "closing bracket"                      },
        {"[\"a]",             "not closed"                           },
        {"[\"\\x\"]",         "unknown escape"                       },
        {"[\"\\u12g4\"]",     "hexadecimal"                          },
        {"[\"a\nb\"]",        "raw control character"                },
        {"NaN",               "a value was expected"                 },
        {"[Infinity]",        "a value was expected"                 },
        {"[-Infinity]",       "a value was expected"                 },
        {"[01]",              "closing bracket"                      },
        {"[+1]",              "a value was expected"                 },
        {"[.5]",              "a value was expected"                 },
        {"[1.]",              "a number is incomplete"               },
        {"[1e]",              "a number is incomplete"               },
        {"[1e400]",           "a number is too large"                },
        {"[1] // end",        "more text"                            },
        {"/* c */[1]",        "a value was expected"                 },
        {"['a']",             "a value was expected"                 },
        {"tru",               "a value was expected"                 },
        {"]",                 "a value was expected"                 },
        {"{\"a\":1,\"a\":2}", "a key appears twice"                  },
    };
    for (const auto& [text, why] : kCases) EXPECT_THAT(WhyRefused(text), HasSubstr(why)) << text;
}

TEST(Parse, ANulByteNeitherEndsTheTextNorHidesWhatFollows) {
    EXPECT_THAT(WhyRefused(std::string_view("{}\0{}", 5)), HasSubstr("NUL"));
    EXPECT_THAT(WhyRefused(std::string_view("[\"a\0\"]", 6)), HasSubstr("NUL"));
    EXPECT_EQ(MustParse("[\"a\\u0000b\"]").root().At(0).AsString(), std::string_view("a\0b", 3));
}

TEST(Parse, BrokenTextInStringsIsRefused) {
    for (const char* text :
         {"[\"\xFF\"]", "[\"\xC0\x80\"]", "[\"\xED\xA0\x80\"]", "[\"\xF4\x90\x80\x80\"]",
          "[\"\xE2\x82\"]", "\xFE\xFF", "{\"\x80\":1}"}) {
        EXPECT_THAT(WhyRefused(text), HasSubstr("not valid UTF-8")) << text;
    }
    for (const char* text :
         {R"(["\ud800"])", R"(["\udc00"])", R"(["\ud800x"])", R"(["\ud800\u0041"])",
          R"(["\udc00\ud800"])", R"({"\udfff":1})", R"(["\ud83d\ude00\ude00"])"}) {
        EXPECT_THAT(WhyRefused(text), HasSubstr("surrogate")) << text;
    }
    EXPECT_EQ(MustParse(R"(["\ud83d\ude00"])").root().At(0).AsString(), "\U0001F600");
    EXPECT_EQ(MustParse(R"(["\ud7ff\ue000"])").root().At(0).AsString(), "\uD7FF\uE000");
}

TEST(Parse, TwinsAreFoundAfterUnescapingInSmallAndLargeObjects) {
    EXPECT_THAT(WhyRefused(R"({"a":1,"b":2,"\u0061":3})"), HasSubstr("twice"));
    EXPECT_THAT(WhyRefused(R"([{"x":{"a":1,"a":1}}])"), HasSubstr("twice"));
    EXPECT_EQ(WhyRefused(R"([{"a":1},{"a":1},{"b":{"b":1}}])"), "accepted");
    std::string large = "{";
    for (int i = 0; i < 900; ++i) large += base::Cat("\"k", i, "\":0,");
    EXPECT_EQ(WhyRefused(large + "\"k900\":0}"), "accepted");
    EXPECT_THAT(WhyRefused(large + "\"k450\":0}"), HasSubstr("twice"));
}

TEST(Parse, DepthIsBoundedWithoutRecursion) {
    EXPECT_EQ(WhyRefused(Repeat("[", 32) + Repeat("]", 32)), "accepted");
    EXPECT_EQ(
        WhyRefused(Repeat("[", 33) + Repeat("]", 33)),
        "too complex: it is nested more than 32 levels deep"
    );
    EXPECT_EQ(WhyRefused(Repeat("{\"a\":", 31) + "{}" + Repeat("}", 31)), "accepted");
    EXPECT_THAT(WhyRefused(Repeat("{\"a\":", 33)), HasSubstr("too complex"));
    EXPECT_THAT(WhyRefused(Repeat("[", 5'000'000)), HasSubstr("too complex"));
    const size_t deep = 300'000;
    const auto document =
        MustParse(Repeat("[", deep) + Repeat("]", deep), {.max_depth = deep, .max_values = deep});
    EXPECT_EQ(Canonical(document.root()).size(), 2 * deep);
}

TEST(Parse, KeysAndElementsAreBounded) {
    std::string keys = "{\"k\":0";
    for (int i = 0; i < 999; ++i) keys += base::Cat(",\"k", i, "\":0");
    EXPECT_EQ(WhyRefused(keys + "}"), "accepted");
    EXPECT_EQ(WhyRefused(keys + ",\"x\":0}"), "too complex: an object has more than 1000 keys");
    EXPECT_EQ(WhyRefused("[" + Repeat("\"\",", 9'999) + "\"\"]"), "accepted");
    EXPECT_EQ(
        WhyRefused("[" + Repeat("\"\",", 10'000) + "\"\"]"),
        "too complex: an array has more than 10000 elements"
    );
    EXPECT_THAT(WhyRefused("[" + Repeat("{},", 10'000) + "{}]"), HasSubstr("elements"));
    EXPECT_THAT(WhyRefused("[" + Repeat("300,", 10'000) + "300]"), HasSubstr("elements"));
}

TEST(Parse, ArraysOfBytesAreExemptWhileTheyAreNothingElse) {
    std::string text = "[[" + Repeat("255,0,", 50'000) + "7],1]";
    const auto document = MustParse(text);
    const Value bytes = document.root().At(0);
    ASSERT_EQ(bytes.size(), 100'001u);
    EXPECT_EQ(bytes.At(0).AsInt(), 255);
    EXPECT_EQ(bytes.At(99'999).AsInt(), 0);
    EXPECT_EQ(bytes.At(100'000).AsInt(), 7);
    EXPECT_EQ(document.root().At(1).AsInt(), 1);
    EXPECT_EQ(Canonical(document.root()), text);
    for (const char* odd : {"256", "-1", "1.5", "\"1\"", "null", "[1]", "{}"}) {
        EXPECT_THAT(WhyRefused("[" + Repeat("1,", 10'000) + odd + "]"), HasSubstr("elements"))
            << odd;
        EXPECT_EQ(CanonicalOf(base::Cat("[1,2,", odd, ",3]")), base::Cat("[1,2,", odd, ",3]"));
    }
    EXPECT_EQ(CanonicalOf("[1,2,[3,[4,{\"a\":[5,6]}],7],8]"), "[1,2,[3,[4,{\"a\":[5,6]}],7],8]");
}

TEST(Parse, TheSumOfValuesIsBounded) {
    const std::string wide = "[" + Repeat("[\"\",\"\",\"\"],", 50) + "0]";
    EXPECT_EQ(WhyRefused(wide, {.max_values = 250}), "accepted");
    EXPECT_THAT(WhyRefused(wide, {.max_values = 150}), HasSubstr("more than 150 values"));
}

TEST(Numbers, IntegersAreThoseWithoutFractionInsideTheSafeRange) {
    const auto document = MustParse(
        "[9007199254740991,-9007199254740991,9007199254740992,18446744073709551615,1e3,1.0,-0,0.5,-"
        "0.0]"
    );
    const Value root = document.root();
    EXPECT_EQ(root.At(0).AsInt(), 9007199254740991);
    EXPECT_EQ(root.At(1).AsInt(), -9007199254740991);
    EXPECT_FALSE(root.At(2).IsInt());
    EXPECT_FALSE(root.At(3).IsInt());
    EXPECT_EQ(root.At(4).AsInt(), 1000);
    EXPECT_EQ(root.At(5).AsInt(), 1);
    EXPECT_EQ(root.At(6).AsInt(), 0);
    EXPECT_FALSE(root.At(7).IsInt());
    EXPECT_EQ(root.At(8).AsInt(), 0);
}

TEST(Numbers, AreReadToTheNearestDouble) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 20'000; ++i) {
        const std::string text = base::Cat(
            random() % 1'000'000'000'000, '.', random(), 'e', static_cast<int>(random() % 500) - 250
        );
        const auto document = MustParse(text);
        ASSERT_EQ(document.root().AsDouble(), std::strtod(text.c_str(), nullptr)) << text;
    }
}

TEST(Numbers, ThoseNextToTheRangeOfDoublesAreRoundedOrRefused) {
    const std::string zeros(400, '0');
    for (const auto& text :
         {std::string("1e-400"), std::string("0e-324"), std::string("-1E-99999999999"),
          "0." + zeros + "1", std::string("0." + zeros + "e300"), std::string("2e-324")}) {
        const auto document = MustParse(text);
        EXPECT_EQ(document.root().AsInt(), 0) << text;
    }
    EXPECT_EQ(MustParse("3e-324").root().AsDouble(), 5e-324);
    EXPECT_EQ(MustParse("1." + zeros + "5").root().AsDouble(), 1.0);
    EXPECT_EQ(MustParse("0." + zeros.substr(0, 299) + "1e300").root().AsInt(), 1);
    for (const auto& text :
         {"1" + zeros, std::string("1.8e308"), std::string("-2e308"), "1" + zeros + ".5",
          "1" + zeros.substr(0, 200) + "e200", std::string("1e99999999999")}) {
        EXPECT_THAT(WhyRefused(text), HasSubstr("a number is too large")) << text;
    }
}

TEST(Canonical, NumbersAreWrittenAsEcmaScriptDoes) {
    const std::pair<std::string_view, std::string_view> kCases[] = {
        {"0",                             "0"                      },
        {"-0.0",                          "0"                      },
        {"5e-324",                        "5e-324"                 },
        {"1.7976931348623157e308",        "1.7976931348623157e+308"},
        {"9007199254740992",              "9007199254740992"       },
        {"-9007199254740992",             "-9007199254740992"      },
        {"295147905179352830000",         "295147905179352830000"  },
        {"1e21",                          "1e+21"                  },
        {"999999999999999900000",         "999999999999999900000"  },
        {"9.999999999999997e22",          "9.999999999999997e+22"  },
        {"1e23",                          "1e+23"                  },
        {"0.000001",                      "0.000001"               },
        {"0.0000001",                     "1e-7"                   },
        {"333333333.3333332",             "333333333.3333332"      },
        {"333333333.33333329",            "333333333.3333333"      },
        {"1E30",                          "1e+30"                  },
        {"4.50",                          "4.5"                    },
        {"2e-3",                          "0.002"                  },
        {"0.000000000000000000000000001", "1e-27"                  },
        {"-123.456e-2",                   "-1.23456"               },
    };
    for (const auto& [text, canonical] : kCases) EXPECT_EQ(CanonicalOf(text), canonical);
}

TEST(Canonical, KeysAreSortedByUtf16AndTextIsMinimal) {
    EXPECT_EQ(
        CanonicalOf(R"({"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7})"
        ),
        "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"\u00f6\":7,\"\u20ac\":1,\"\U0001F600\":5,\"\uFB33\":3}"
    );
    EXPECT_EQ(
        CanonicalOf(
            R"({"b":[56,{"d":true,"10":null,"1":[]}],"a":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/\u007f"})"
        ),
        "{\"a\":\"\u20ac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/"
        "\x7f\",\"b\":[56,{\"1\":[],\"10\":null,\"d\":true}]}"
    );
    EXPECT_EQ(CanonicalOf("{\"ab\":1,\"a\":2,\"\":3}"), "{\"\":3,\"a\":2,\"ab\":1}");
    EXPECT_EQ(CanonicalOf("\"\u2028\""), "\"\u2028\"");
}

TEST(Canonical, EqualDocumentsHaveEqualText) {
    EXPECT_EQ(CanonicalOf(R"({"a": 1.0, "b": "\u0041"})"), CanonicalOf(R"({"b":"A","a":1})"));
}

TEST(ValueDeathTest, AskingForAnotherKindIsABug) {
    const auto document = MustParse("[1]");
    EXPECT_DEATH((void)document.root().AsString(), "AsString");
    EXPECT_DEATH((void)document.root().At(1), "outside an array");
    EXPECT_DEATH((void)document.root().At(0).At(0), "outside an array");
    EXPECT_DEATH((void)Value().AsBool(), "AsBool");
}

}  // namespace
}  // namespace opensend::json
