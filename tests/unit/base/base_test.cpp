#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/base/cidr.h"
#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/base/utf8.h"
#include "kernel/base/uuid.h"

namespace opensend::base {
namespace {

TEST(Utf8, BytesThatBelongToNoCodePointAreReplaced) {
    EXPECT_EQ(ReplaceInvalidUtf8("plain \xC3\xBC"), "plain \xC3\xBC");
    EXPECT_EQ(
        ReplaceInvalidUtf8("a\xFF\xC3(\xED\xA0\x80"),
        "a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
    );
    EXPECT_EQ(ReplaceInvalidUtf8("\xEF\xBF\xBD"), "\xEF\xBF\xBD");
    EXPECT_TRUE(IsUtf8(ReplaceInvalidUtf8("\x80\xF4\x90\x80\x80\xC0\xAF")));
}

TEST(Time, FormatsAndParsesIso) {
    const auto time = ParseIso("2026-03-02T09:15:30.123Z");
    ASSERT_TRUE(time);
    EXPECT_EQ(FormatIso(*time), "2026-03-02T09:15:30.123Z");
    EXPECT_EQ(FormatRfc5322(*time), "Mon, 02 Mar 2026 09:15:30 +0000");
    EXPECT_EQ(FormatIso(*ParseIso("2026-03-02T19:30:00+09:00")), "2026-03-02T10:30:00.000Z");
    EXPECT_EQ(FormatIso(*ParseIso("2026-03-02")), "2026-03-02T00:00:00.000Z");
}

TEST(Time, RefusesWhatDoesNotExist) {
    for (const char* text :
         {"2026-02-30", "2026-13-01", "2026-03-02T24:00", "20260302", "", "2026-03-02T10:00+99:00",
          "2026-03-02T10:00:00.Z", "2026-03-02x"}) {
        EXPECT_FALSE(ParseIso(text)) << text;
    }
}

TEST(Uuid, Base62IsTheVectorsMessageId) {
    const auto id = ParseUuid("019b76da-a802-7000-8000-0000000000f1");
    ASSERT_TRUE(id);
    EXPECT_EQ(id->ToBase62(), "0322SbK0ZytilgnBFjEAvx");
    EXPECT_EQ(ParseBase62Uuid("0322SbK0ZytilgnBFjEAvx"), id);
    EXPECT_FALSE(ParseBase62Uuid("zzzzzzzzzzzzzzzzzzzzzz"));
    EXPECT_EQ(ParseUuid("019B76DA-A802-7000-8000-0000000000F1"), id);
    EXPECT_FALSE(ParseUuid("019b76da-a802-7000-8000-0000000000f"));
}

TEST(Encoding, Base64RefusesWhatIsNotCanonical) {
    EXPECT_EQ(Base64Encode("hello"), "aGVsbG8=");
    EXPECT_EQ(Base64Decode("aGVsbG8="), "hello");
    EXPECT_FALSE(Base64Decode("aGVsbG8"));
    EXPECT_FALSE(Base64Decode("aGVs bG8="));
    EXPECT_EQ(Base64DecodeLenient("aGVs\r\nbG8"), "hello");
    EXPECT_FALSE(Base64DecodeLenient("aGVsb!8="));
    EXPECT_EQ(Base64UrlDecode(Base64UrlEncode("\xff\xfe\xfd")), "\xff\xfe\xfd");
    EXPECT_FALSE(Base64UrlDecode("_x"));
    EXPECT_EQ(Crc32("123456789"), 0xcbf43926u);
}

TEST(Utf8, RefusesOverlongSurrogatesAndTooLarge) {
    EXPECT_TRUE(
        IsUtf8("Gr\xc3\xbc\xc3\x9f"
               "e \xf0\x9f\x9a\x80")
    );
    for (const char* bad : {"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) {
        EXPECT_FALSE(IsUtf8(bad));
    }
    EXPECT_EQ(TruncateUtf8("a\xc3\xbc", 2), "a");
    EXPECT_EQ(CountCodePoints("a\xc3\xbc"), 2u);
}

TEST(Cidr, ContainsByPrefix) {
    const auto cidr = ParseCidr("10.0.0.0/8");
    ASSERT_TRUE(cidr);
    EXPECT_TRUE(cidr->Contains(*ParseIp("10.255.0.1")));
    EXPECT_TRUE(cidr->Contains(*ParseIp("::ffff:10.1.2.3")));
    EXPECT_FALSE(cidr->Contains(*ParseIp("11.0.0.1")));
    for (const char* bad :
         {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "x", "fe80::1%eth0"}) {
        EXPECT_FALSE(ParseCidr(bad)) << bad;
    }
}

TEST(Error, SaysFieldAndReason) {
    const Error error = Invalid("to", "too long.", "too_long");
    EXPECT_EQ(error.public_message(), "Invalid `to` field: too long.");
    EXPECT_EQ(error.reason(), "too_long");
    EXPECT_EQ(NotFound("API key").reason(), "api_key_not_found");
}

TEST(Text, ListsAndNumbers) {
    EXPECT_THAT(SplitList(" a, ,b"), testing::ElementsAre("a", "b"));
    EXPECT_EQ(Cat("a", 1, '-', int64_t{-5}), "a1--5");
    EXPECT_EQ(ParseInt("-12"), -12);
    EXPECT_FALSE(ParseInt("12x"));
    EXPECT_FALSE(ParseInt(""));
}

TEST(UuidSource, ValuesOfOneMillisecondAreInTheOrderOfTheirMaking) {
    struct : Clock {
        Time Now() const override { return Time{1'772'442'930'000'000}; }
        MonoTime Mono() const override { return {}; }
    } clock;
    struct : Random {
        void Fill(std::span<uint8_t> out) override {
            for (uint8_t& byte : out) byte = 0xff;
        }
    } random;
    UuidSource source(clock, random);
    Uuid last = source.Next();
    for (int i = 0; i < 10'000; ++i) {
        const Uuid next = source.Next();
        ASSERT_LT(last, next);
        ASSERT_EQ(next.bytes[6] >> 4, 7);
        ASSERT_EQ(next.bytes[8] >> 6, 2);
        ASSERT_EQ(next.Timestamp().us, 1'772'442'930'000'000);
        last = next;
    }
}

}  // namespace
}  // namespace opensend::base
