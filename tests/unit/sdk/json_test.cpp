#include <gtest/gtest.h>

#include <opensend/json.hpp>

namespace {

osp_str Parse(std::string_view text) { return osp_json_parse(osp::Str(text)); }

TEST(SdkJson, TakesWhatIsJsonAndRefusesTheRest) {
    for (const char* good :
         {"{}", " [ ] ", "0", "-1.5e+3", "\"\"", "true", "null", R"({"a":[1,{"b":"\u00e9\n"}]})",
          "[[[]]]", R"("\ud83d\ude80")"})
        EXPECT_GT(Parse(good).len, 0u) << good;
    for (const char* bad :
         {"",
          " ",
          "{",
          "}",
          "[1,]",
          "{\"a\"}",
          "{\"a\":}",
          "{a:1}",
          "01",
          "1.",
          "-",
          "+1",
          "\"",
          "\"\\",
          "\"\\x\"",
          "\"\\u12\"",
          "\"\\u12g4\"",
          "tru",
          "truex",
          "1 2",
          "[1 2]",
          "{\"a\":1 \"b\":2}",
          "\"\n\"",
          "nul",
          "[",
          "[1,",
          "{\"a\":1,}",
          "1e",
          "'a'"})
        EXPECT_EQ(Parse(bad).len, 0u) << bad;
    EXPECT_EQ(osp_json_parse({nullptr, 0}).len, 0u);
}

TEST(SdkJson, DepthHasALimit) {
    const auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };
    EXPECT_GT(Parse(nested(OSP_JSON_DEPTH)).len, 0u);
    EXPECT_EQ(Parse(nested(OSP_JSON_DEPTH + 2)).len, 0u);
    EXPECT_EQ(Parse(std::string(1'000'000, '[')).len, 0u);
}

TEST(SdkJson, TextsAreDecoded) {
    const std::string text =
        R"(["plain","a\"b\\c\/d\b\f\n\r\t","\u0041\u00e9\u20ac\ud83d\ude80","\u0000"])";
    const auto items = osp::Json::Parse(text).Items();
    ASSERT_EQ(items.size(), 4u);
    EXPECT_EQ(items[0].Text(), "plain");
    EXPECT_EQ(items[1].Text(), "a\"b\\c/d\b\f\n\r\t");
    EXPECT_EQ(items[2].Text(), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x80");
    EXPECT_EQ(items[3].Text(), std::string(1, '\0'));
}

TEST(SdkJson, HalfOfAPairIsNoText) {
    for (const char* bad : {R"("\ud83d")", R"("\ude80")", R"("\ud83d\u0041")", R"("\ud83dx")"})
        EXPECT_EQ(osp::Json::Parse(bad).Text(), std::nullopt) << bad;
}

TEST(SdkJson, ATextLongerThanTheRoomIsRefused) {
    char room[4];
    EXPECT_EQ(osp_json_text(Parse("\"abcd\""), room, sizeof room), 4);
    EXPECT_EQ(osp_json_text(Parse("\"abcde\""), room, sizeof room), -1);
    EXPECT_EQ(osp_json_text(Parse("\"abc\\u00e9\""), room, sizeof room), -1);
    EXPECT_EQ(osp_json_text(Parse("7"), room, sizeof room), -1);
}

TEST(SdkJson, NumbersAreWholeAndFit) {
    int64_t number = 0;
    EXPECT_TRUE(osp_json_int(Parse("-9223372036854775808"), &number));
    EXPECT_EQ(number, INT64_MIN);
    for (const char* bad : {"9223372036854775808", "1.5", "1e3", "\"1\"", "true", "null"})
        EXPECT_FALSE(osp_json_int(Parse(bad), &number)) << bad;
}

TEST(SdkJson, MembersAreFoundByTheirDecodedNames) {
    const std::string text = R"( { "a" : 1 , "\u0062" : {"a":2} , "c":[3, "a"] } )";
    const osp::Json root = osp::Json::Parse(text);
    EXPECT_EQ(root["a"].Int(), 1);
    EXPECT_EQ(root["b"]["a"].Int(), 2);
    EXPECT_EQ(root["c"].Items().size(), 2u);
    EXPECT_FALSE(root["d"].is_there());
    EXPECT_FALSE(root["c"]["a"].is_there());
    EXPECT_TRUE(root["a"].Items().empty());
}

TEST(SdkJson, AConfigurationWithAnUnknownKeyIsRefusedByName) {
    osp_create_args args{};
    const std::string text = R"({"host":"x","colour":1,"key":{"$secret":"secret:k"}})";
    args.config = osp::Str(text);
    EXPECT_EQ(osp::Json::Config(args, {"host", "colour", "key"})["key"].SecretRef(), "secret:k");
    try {
        osp::Json::Config(args, {"host", "key"});
        FAIL() << "it was taken";
    } catch (const osp::Error& error) {
        EXPECT_EQ(error.code(), OSP_E_CONFIG);
        EXPECT_STREQ(error.what(), "unknown key \"colour\"");
    }
    for (const char* bad : {"", "[]", "7", "{"}) {
        args.config = osp::Str(bad);
        EXPECT_THROW(osp::Json::Config(args, {}), osp::Error) << bad;
    }
}

}  // namespace
