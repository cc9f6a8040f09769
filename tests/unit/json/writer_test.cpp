#include "kernel/json/writer.h"

#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel/base/time.h"
#include "kernel/base/utf8.h"
#include "kernel/json/value.h"

namespace opensend::json {
namespace {

TEST(Writer, EveryKindIsWrittenInCallOrder) {
    Writer out;
    out.BeginObject()
        .Field("z", "text")
        .Field("s", std::string("x"))
        .Field("v", std::string_view("y"))
        .Field("b", true)
        .Field("i", -5)
        .Field("l", int64_t{9007199254740991})
        .Field("d", 0.1)
        .Field("at", *base::ParseIso("2026-03-02T09:15:30.123Z"))
        .Field("none", std::optional<std::string>())
        .Field("some", std::optional<std::string>("o"))
        .Field("list", std::vector<std::string>{"a", "b"})
        .Field("empty", std::vector<std::string>{})
        .NullField("n")
        .RawField("raw", "{\"k\":[1]}");
    out.Key("a").BeginArray().Int(1).Bool(false).Null().BeginObject().EndObject().BeginArray();
    out.EndArray().EndArray().EndObject();
    EXPECT_EQ(
        out.text(),
        R"({"z":"text","s":"x","v":"y","b":true,"i":-5,"l":9007199254740991,"d":0.1,)"
        R"("at":"2026-03-02T09:15:30.123Z","none":null,"some":"o","list":["a","b"],"empty":[],)"
        R"("n":null,"raw":{"k":[1]},"a":[1,false,null,{},[]]})"
    );
    EXPECT_TRUE(Document::Parse(out.Take()).ok());
    EXPECT_EQ(out.Int(3).Take(), "3");
}

TEST(Writer, DangerousCharactersAreEscaped) {
    EXPECT_EQ(
        Quote("a\"\\/\b\f\n\r\t\x01\x1f\x7f"), "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\""
    );
    EXPECT_EQ(Quote(std::string_view("\0", 1)), "\"\\u0000\"");
    EXPECT_EQ(Quote("\u2028\u2029\u2027\u202a"), "\"\\u2028\\u2029\u2027\u202a\"");
    EXPECT_EQ(Quote("\u00e9\u20ac\U0001F600"), "\"\u00e9\u20ac\U0001F600\"");
    EXPECT_EQ(Quote(""), "\"\"");
}

TEST(Writer, BytesThatAreNotUtf8BecomeReplacementCharacters) {
    EXPECT_EQ(
        Quote("a\xFF"
              "b\xC3"),
        "\"a\uFFFDb\uFFFD\""
    );
    EXPECT_EQ(Quote("\uFFFD"), "\"\uFFFD\"");
    EXPECT_EQ(Quote("\xED\xA0\x80"), "\"\uFFFD\uFFFD\uFFFD\"");
    std::mt19937 random(3);
    for (int i = 0; i < 5'000; ++i) {
        std::string bytes(random() % 40, '\0');
        for (char& c : bytes) c = static_cast<char>(random() % 256);
        const std::string quoted = Quote(bytes);
        const auto document = Document::Parse(quoted);
        ASSERT_TRUE(document.ok()) << quoted;
        if (base::IsUtf8(bytes)) {
            ASSERT_EQ(document.value().root().AsString(), bytes);
        }
    }
}

TEST(WriterDeathTest, MisuseIsABug) {
    EXPECT_DEATH(Writer().BeginObject().Int(1), "needs a key");
    EXPECT_DEATH(Writer().BeginArray().Key("a"), "stands in an object");
    EXPECT_DEATH(Writer().BeginObject().EndArray(), "matches no beginning");
    EXPECT_DEATH(Writer().BeginObject().Key("a").EndObject(), "matches no beginning");
    EXPECT_DEATH(Writer().Int(1).Int(2), "one value");
}

}  // namespace
}  // namespace opensend::json
