#include "kernel/json/reader.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/base/error.h"

namespace opensend::json {
namespace {

using testing::ElementsAre;

MATCHER_P2(Says, path, message, "") { return arg.path == path && arg.message == message; }

/// A body, its reader and what the reader found.
struct Body {
    explicit Body(std::string_view text)
        : document(Document::Parse(text)), reader(document->root(), "", problems) {}

    base::Error Thrown() const {
        try {
            problems.ThrowIfAny();
        } catch (const base::Error& error) {
            return error;
        }
        ADD_FAILURE() << "no problem";
        return {base::ErrorCode::kInternal, ""};
    }

    base::Result<Document, ParseFailure> document;
    Problems problems;
    ObjectReader reader;
};

TEST(ObjectReader, GoodFieldsComeBackAndNothingIsThrown) {
    Body body(R"({"name":" Ada ","on":true,"n":7,"x":null,"to":["a"]})");
    EXPECT_EQ(body.reader.RequireText("name", {.min = 1, .trim = true}), "Ada");
    EXPECT_EQ(body.reader.OptionalBool("on"), true);
    EXPECT_EQ(body.reader.OptionalInt("n", 1, 7), 7);
    EXPECT_EQ(body.reader.OptionalText("x"), std::nullopt);
    EXPECT_EQ(body.reader.OptionalText("y"), std::nullopt);
    EXPECT_EQ(body.reader.OptionalBool("y"), std::nullopt);
    EXPECT_TRUE(body.reader.TakeEither("recipients", "to").IsArray());
    EXPECT_THAT(body.reader.Finish(true), ElementsAre());
    body.problems.ThrowIfAny();
}

TEST(ObjectReader, MissingAndNullAreTheSameToRequire) {
    Body body(R"({"b":null})");
    EXPECT_EQ(body.reader.RequireText("a"), std::nullopt);
    EXPECT_EQ(body.reader.RequireText("b"), std::nullopt);
    const auto error = body.Thrown();
    EXPECT_EQ(error.code(), base::ErrorCode::kMissingRequiredField);
    EXPECT_EQ(error.public_message(), "Missing `a` field.");
    EXPECT_EQ(error.reason(), "");
    EXPECT_THAT(error.fields(), ElementsAre(Says("a", "Required."), Says("b", "Required.")));
}

TEST(ObjectReader, AWrongTypeIsNeverConverted) {
    Body body(R"({"t":5,"b":"true","c":1,"i":"5","f":5.5})");
    EXPECT_EQ(body.reader.RequireText("t"), std::nullopt);
    EXPECT_EQ(body.reader.OptionalBool("b"), std::nullopt);
    EXPECT_EQ(body.reader.OptionalBool("c"), std::nullopt);
    EXPECT_EQ(body.reader.OptionalInt("i", 0, 9), std::nullopt);
    EXPECT_EQ(body.reader.OptionalInt("f", 0, 9), std::nullopt);
    const auto error = body.Thrown();
    EXPECT_EQ(error.code(), base::ErrorCode::kValidation);
    EXPECT_EQ(error.public_message(), "Invalid `t` field: must be text.");
    EXPECT_EQ(error.reason(), "invalid_type");
    EXPECT_THAT(
        error.fields(), ElementsAre(
                            Says("t", "Must be text."), Says("b", "Must be true or false."),
                            Says("c", "Must be true or false."), Says("i", "Must be an integer."),
                            Says("f", "Must be an integer.")
                        )
    );
}

TEST(ObjectReader, IntegersOutsideTheirRangeAreNamedSo) {
    for (const char* text :
         {R"({"n":0})", R"({"n":101})", R"({"n":9007199254740993})", R"({"n":-1e300})"}) {
        Body body(text);
        EXPECT_EQ(body.reader.OptionalInt("n", 1, 100), std::nullopt);
        EXPECT_EQ(body.Thrown().reason(), "out_of_range") << text;
        EXPECT_EQ(
            body.Thrown().public_message(), "Invalid `n` field: must be an integer from 1 to 100."
        );
    }
}

TEST(ObjectReader, LengthsCountCodePoints) {
    const TextRule rule{.min = 2, .max = 3};
    const std::pair<std::string_view, std::string_view> kCases[] = {
        {R"({"t":"\u00e9\u00e9\ud83d\ude00"})", ""         },
        {R"({"t":"\u00e9"})",                   "too_short"},
        {R"({"t":""})",                         "too_short"},
        {R"({"t":"abcd"})",                     "too_long" },
        {R"({"t":"abc"})",                      ""         },
    };
    for (const auto& [text, reason] : kCases) {
        Body body(text);
        EXPECT_EQ(body.reader.RequireText("t", rule).has_value(), reason.empty()) << text;
        if (!reason.empty()) {
            EXPECT_EQ(body.Thrown().reason(), reason) << text;
        }
    }
    Body empty(R"({"t":" \t "})");
    EXPECT_EQ(empty.reader.RequireText("t", {.min = 1, .max = 255, .trim = true}), std::nullopt);
    EXPECT_EQ(empty.Thrown().public_message(), "Invalid `t` field: must not be empty.");
}

TEST(ObjectReader, NulIsRefusedEverywhereAndLineBreaksInSingleLines) {
    Body nul(R"({"t":"a\u0000b"})");
    EXPECT_EQ(nul.reader.RequireText("t"), std::nullopt);
    EXPECT_EQ(nul.Thrown().reason(), "invalid_value");
    for (const char* text :
         {R"({"t":"a\nb"})", R"({"t":"a\rb"})", R"({"t":"a\u001fb"})", R"({"t":"a\u2028b"})",
          R"({"t":"a\u2029b"})", R"({"t":"Subject\r\nBcc: x"})"}) {
        Body body(text);
        EXPECT_EQ(body.reader.RequireText("t", {.single_line = true}), std::nullopt) << text;
        EXPECT_EQ(body.Thrown().reason(), "invalid_value");
        Body many_lines(text);
        EXPECT_TRUE(many_lines.reader.RequireText("t").has_value()) << text;
    }
    Body tab(R"({"t":"a\tb \u00a0\u200d"})");
    EXPECT_TRUE(tab.reader.RequireText("t", {.single_line = true}).has_value());
}

TEST(ObjectReader, AnythingButAnObjectIsOneProblem) {
    for (const char* text : {"[1,2]", "\"x\"", "null", "5"}) {
        Body body(text);
        EXPECT_EQ(body.reader.RequireText("to"), std::nullopt);
        EXPECT_TRUE(body.reader.Take("to").IsMissing());
        EXPECT_THAT(body.reader.Finish(true), ElementsAre());
        const auto error = body.Thrown();
        EXPECT_EQ(error.public_message(), "Invalid request body: must be an object.");
        EXPECT_THAT(error.fields(), ElementsAre(Says("", "Must be an object.")));
    }
}

TEST(ObjectReader, UnknownNamesAreListedAndAProblemOnlyWhenStrict) {
    Body lenient(R"({"a":1,"z":2,"y":3})");
    lenient.reader.Take("a");
    lenient.reader.Take("never there");
    EXPECT_THAT(lenient.reader.Finish(false), ElementsAre("z", "y"));
    EXPECT_TRUE(lenient.problems.empty());

    Body strict(R"({"a":1,"b`.\n":2})");
    strict.reader.Take("a");
    EXPECT_THAT(strict.reader.Finish(true), ElementsAre("b`.\n"));
    EXPECT_EQ(strict.Thrown().reason(), "unknown_field");
    EXPECT_EQ(strict.Thrown().public_message(), "Invalid `b___` field: not a known field.");
}

TEST(ObjectReader, TheFirstPresentOfTwoNamesIsTakenAndBothAreKnown) {
    Body body(R"({"reply_to":"a","replyTo":"b","audienceId":"c"})");
    EXPECT_EQ(body.reader.TakeEither("reply_to", "replyTo").AsString(), "a");
    EXPECT_EQ(body.reader.TakeEither("audience_id", "audienceId").AsString(), "c");
    EXPECT_TRUE(body.reader.TakeEither("x", "y").IsMissing());
    EXPECT_THAT(body.reader.Finish(false), ElementsAre());
}

TEST(Problems, ANestedPathIsReportedUnderItsTopLevelKeyToo) {
    Problems problems;
    problems.Add("to.1", "Not an email address.", "invalid_email");
    try {
        problems.ThrowIfAny();
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.public_message(), "Invalid `to` field: entry 2 is not an email address.");
        EXPECT_EQ(error.reason(), "invalid_email");
        EXPECT_THAT(
            error.fields(), ElementsAre(
                                Says("to", "Entry 2 is not an email address."),
                                Says("to.1", "Not an email address.")
                            )
        );
    }
}

TEST(Problems, TheSentenceFitsItsPlaceAndItsErrorName) {
    struct Case {
        base::ErrorCode code;
        std::string_view path, message, expected;
    };
    using enum base::ErrorCode;
    const Case kCases[] = {
        {kInvalidAttachment,    "attachments.0.content", "Not base64.",
         "Invalid `attachments` field: entry 1, `content` is not base64."                                                   },
        {kInvalidAttachment,    "attachments",           "Too many of them.",
         "Invalid `attachments` field: too many of them."                                                                   },
        {kValidation,           "tags.2.name",           "Must be text.",
         "Invalid `tags` field: entry 3, `name` must be text."                                                              },
        {kValidation,           "headers.X-A",           "Too long by far.",
         "Invalid `headers` field: `X-A`: too long by far."                                                                 },
        {kValidation,           "url",                   "URL must use https.",   "Invalid `url` field: URL must use https."},
        {kValidation,           "3.to.0",                "Not an email address.",
         "Invalid `3.to` field: entry 1 is not an email address."                                                           },
        {kValidation,           "3",                     "Must be an object.",    "Invalid `3` field: must be an object."   },
        {kMissingRequiredField, "3.to",                  "Required.",             "Missing `3.to` field."                   },
        {kMissingRequiredField, "tags.0.name",           "Required.",             "Missing `tags.0.name` field."            },
        {kInvalidParameter,     "limit",                 "Must be 1 to 100.",
         "Invalid `limit` parameter: must be 1 to 100."                                                                     },
        {kInvalidAccess,        "permission",            "Must be full_access.",  "`permission` must be full_access."       },
        {kInvalidFromAddress,   "from",                  "Use `address@domain`.",
         "Invalid `from` field: use `address@domain`."                                                                      },
    };
    for (const auto& row : kCases) {
        Problems problems;
        problems.Add(row.code, row.path, row.message, "");
        problems.Add("later", "Must be text.", "invalid_type");
        try {
            problems.ThrowIfAny();
            ADD_FAILURE() << row.path;
        } catch (const base::Error& error) {
            EXPECT_EQ(error.public_message(), row.expected);
            EXPECT_EQ(error.code(), row.code);
            EXPECT_EQ(error.reason(), "");
        }
    }
}

TEST(Problems, AtMostFiftyAreListed) {
    Problems problems;
    for (int i = 0; i < 200; ++i)
        problems.Add("to." + std::to_string(i), "Must be text.", "invalid_type");
    try {
        problems.ThrowIfAny();
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.fields().size(), 50u);
    }
}

}  // namespace
}  // namespace opensend::json
