#include "kernel/api/redact.h"

#include <gtest/gtest.h>

#include "kernel/api/trace.h"
#include "kernel/base/text.h"

namespace opensend::api {
namespace {

std::string Redacted(const std::string& text) {
    const auto document = json::Document::Parse(text);
    EXPECT_TRUE(document.ok()) << text;
    return Redact(document->root());
}

TEST(Redact, ReplacesWhatSpeaksOfSecretsAtAnyDepth) {
    EXPECT_EQ(
        Redacted(R"({"Authorization":"a","x":{"apiKey":"b","Signing_Secret":[1],"ok":1},)"
                 R"("api_key_id":"kept","token_preview":null})"),
        R"({"Authorization":"[REDACTED]","x":{"apiKey":"[REDACTED]","Signing_Secret":"[REDACTED]",)"
        R"("ok":1},"api_key_id":"kept","token_preview":null})"
    );
}

TEST(Redact, ReplacesContentByItsExactNameOnly) {
    EXPECT_EQ(
        Redacted(R"({"html":"<p>","Text":"t","context":"kept","attachments":[{"content":"QQ=="}]})"
        ),
        R"({"html":"[REDACTED]","Text":"[REDACTED]","context":"kept",)"
        R"("attachments":[{"content":"[REDACTED]"}]})"
    );
}

TEST(Redact, CutsLongTextsAtACharacter) {
    std::string umlauts;
    for (int i = 0; i < 2'003; ++i) umlauts += "ü";
    std::string kept;
    for (int i = 0; i < 2'000; ++i) kept += "ü";
    EXPECT_EQ(Redacted("[\"" + umlauts + "\"]"), "[\"" + kept + "…[+3]\"]");
    EXPECT_EQ(Redacted("[\"" + kept + "\"]"), "[\"" + kept + "\"]");
}

TEST(Redact, CutsListsObjectsAndDepth) {
    std::string list = "[0", object = "{\"k0\":0";
    for (int i = 1; i < 60; ++i) list += ",1";
    for (int i = 1; i < 90; ++i) object += base::Cat(",\"k", i, "\":1");
    EXPECT_NE(Redacted(list + "]").find(",\"[+10]\"]"), std::string::npos);
    EXPECT_NE(Redacted(object + "}").find("\"…\":\"[+10]\"}"), std::string::npos);
    EXPECT_EQ(Redacted("[[[[[[[[[[1]]]]]]]]]]"), "[[[[[[[[\"[TOO DEEP]\"]]]]]]]]");
}

TEST(Redact, TokensOfQueriesAreReplaced) {
    EXPECT_EQ(RedactQuery("a=1&TOKEN=secret&b"), "a=1&TOKEN=[REDACTED]&b");
}

class CountingRandom final : public base::Random {
public:
    void Fill(std::span<uint8_t> out) override {
        for (auto& byte : out) byte = ++next_;
    }

private:
    uint8_t next_ = 0;
};

TEST(Trace, ContinuesAValidOneAndBeginsAnewOtherwise) {
    CountingRandom random;
    const std::string given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const Trace continued = ContinueTrace(given, std::nullopt, random);
    EXPECT_EQ(continued.traceparent.substr(0, 36), given.substr(0, 36));
    EXPECT_NE(continued.traceparent.substr(36, 16), given.substr(36, 16));
    EXPECT_EQ(continued.traceparent.substr(53), "01");
    EXPECT_EQ(continued.correlation_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    for (const std::string bad :
         {"", "00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
          "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
          "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
          "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
          "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x"}) {
        const Trace begun = ContinueTrace(bad, std::nullopt, random);
        EXPECT_EQ(begun.traceparent.size(), 55u) << bad;
        EXPECT_EQ(begun.traceparent.find("4bf92f"), std::string::npos) << bad;
    }
    EXPECT_EQ(ContinueTrace(std::nullopt, "order:42", random).correlation_id, "order:42");
    EXPECT_NE(ContinueTrace(std::nullopt, "a b", random).correlation_id, "a b");
    EXPECT_NE(
        ContinueTrace(std::nullopt, std::string(129, 'a'), random).correlation_id.size(), 129u
    );
}

}  // namespace
}  // namespace opensend::api
