#include "kernel/crypto/api_key.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "kernel/base/encoding.h"
#include "kernel/crypto/digest.h"
#include "kernel/crypto/random.h"
#include "tests/unit/crypto/vector_file.h"

namespace opensend::crypto {
namespace {

TEST(ApiKeyVectors, EveryKeyIsReproduced) {
    const auto vectors = ReadVectors("api-key.json");
    EXPECT_EQ(base::Crc32("123456789"), 0xcbf43926u);
    const auto keys = vectors.root().Find("keys");
    ASSERT_EQ(keys.size(), 3u);
    for (size_t i = 0; i < keys.size(); ++i) {
        const auto row = keys.At(i);
        const auto token = ParseApiKey(TextOf(row, "token"));
        ASSERT_TRUE(token);
        EXPECT_EQ(token->ref, TextOf(row, "key_ref"));
        EXPECT_EQ(token->secret, TextOf(row, "secret"));
        EXPECT_EQ(base::Crc32(TextOf(row, "checksum_input")), row.Find("crc32_decimal").AsInt());
        EXPECT_EQ(TokenPreview(TextOf(row, "token")), TextOf(row, "preview"));
        const auto covered = ApiKeyMacInput(token->ref, token->secret);
        EXPECT_EQ(covered, BytesOf(row, "mac_input_hex"));
        EXPECT_EQ(HmacSha256(BytesOf(row, "pepper_hex"), covered), BytesOf(row, "mac_hex"));
    }
}

TEST(ApiKeyVectors, EveryWrongTokenIsRefused) {
    const auto vectors = ReadVectors("api-key.json");
    const auto cases = vectors.root().Find("must_fail");
    ASSERT_EQ(cases.size(), 5u);
    for (size_t i = 0; i < cases.size(); ++i) {
        EXPECT_FALSE(ParseApiKey(TextOf(cases.At(i), "token"))) << TextOf(cases.At(i), "name");
    }
}

TEST(ApiKey, ANewOneParsesAndIsNeverTheSame) {
    SystemRandom random;
    std::set<std::string> refs;
    for (int i = 0; i < 1000; ++i) {
        const auto key = MakeApiKey(random);
        const auto token = ParseApiKey(key.token.Reveal());
        ASSERT_TRUE(token);
        EXPECT_EQ(token->ref, key.ref);
        EXPECT_EQ(token->secret, key.secret.Reveal());
        refs.insert(key.ref);
    }
    EXPECT_EQ(refs.size(), 1000u);
}

TEST(ApiKey, EveryChangedCharacterIsNoticed) {
    const std::string good = "os_7Hq2LmZp4RtXc9VbN3kWs8YdQ1fGj6TzA0uEo5iRxP2h3Z6eVp";
    for (size_t i = 0; i < good.size(); ++i) {
        for (const char c : {'0', 'z', '_', ' ', '\0', '\xC3'}) {
            auto changed = good;
            changed[i] = c;
            EXPECT_EQ(ParseApiKey(changed).has_value(), changed == good) << changed;
        }
    }
    EXPECT_FALSE(ParseApiKey(""));
    EXPECT_FALSE(ParseApiKey(good + "0"));
}

TEST(ApiKey, APreviewShowsNothingOfOtherTexts) {
    EXPECT_EQ(TokenPreview("hunter2"), "…");
    EXPECT_EQ(TokenPreview(""), "…");
}

}  // namespace
}  // namespace opensend::crypto
