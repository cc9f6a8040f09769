#include "kernel/crypto/keyring.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/base/text.h"
#include "kernel/crypto/random.h"
#include "tests/unit/crypto/vector_file.h"

namespace opensend::crypto {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr SealedPlace kPlace{"webhooks", "signing_secret", "org", "row"};

base::Secret SecretOf(std::string_view text) { return base::Secret(std::string(text)); }

Keyring RingOf(std::string_view writing, const std::vector<std::string>& reading = {}) {
    std::vector<base::Secret> others;
    for (const auto& text : reading) others.emplace_back(text);
    auto ring = Keyring::Make(SecretOf(writing), others);
    EXPECT_TRUE(ring.ok()) << (ring.ok() ? "" : ring.error());
    return std::move(ring).value();
}

std::string WhyNoRing(std::string_view writing, const std::vector<std::string>& reading = {}) {
    std::vector<base::Secret> others;
    for (const auto& text : reading) others.emplace_back(text);
    const auto ring = Keyring::Make(SecretOf(writing), others);
    return ring.ok() ? "made" : ring.error();
}

std::string OpenedOrWhy(const Keyring& ring, const SealedPlace& place, std::string_view sealed) {
    auto opened = ring.Open(place, sealed);
    return opened.ok() ? std::string(opened->Reveal()) : "error: " + opened.error();
}

SealedPlace PlaceOf(json::Value row) {
    return {
        TextOf(row, "table"), TextOf(row, "column"), TextOf(row, "org_id"), TextOf(row, "row_id")};
}

class NonceSource final : public base::Random {
public:
    explicit NonceSource(std::string nonce) : nonce_(std::move(nonce)) {}
    void Fill(std::span<uint8_t> out) override {
        ASSERT_EQ(out.size(), nonce_.size());
        std::copy(nonce_.begin(), nonce_.end(), out.begin());
    }

private:
    std::string nonce_;
};

TEST(KeyringVectors, EveryKeyTextGivesItsKeyId) {
    const auto vectors = ReadVectors("secret-envelope.json");
    const auto keys = vectors.root().Find("keys");
    ASSERT_EQ(keys.size(), 3u);
    for (size_t i = 0; i < keys.size(); ++i) {
        const auto ring = RingOf(TextOf(keys.At(i), "input"));
        EXPECT_EQ(ring.writing_kid(), TextOf(keys.At(i), "kid_hex"));
        // The bytes themselves: a ring made of them opens what the other one sealed.
        SystemRandom random;
        const auto same = RingOf(TextOf(keys.At(i), "key_hex"));
        EXPECT_EQ(OpenedOrWhy(same, kPlace, ring.Seal(kPlace, SecretOf("x"), random)), "x");
    }
}

TEST(KeyringVectors, EveryEnvelopeIsReproducedAndOpens) {
    const auto vectors = ReadVectors("secret-envelope.json");
    const auto envelopes = vectors.root().Find("envelopes");
    ASSERT_EQ(envelopes.size(), 3u);
    for (size_t i = 0; i < envelopes.size(); ++i) {
        const auto row = envelopes.At(i);
        const auto ring = RingOf(TextOf(row, "key_hex"));
        NonceSource nonce(BytesOf(row, "nonce_hex"));
        EXPECT_EQ(
            ring.Seal(PlaceOf(row), SecretOf(TextOf(row, "plaintext")), nonce), TextOf(row, "text")
        );
        EXPECT_EQ(OpenedOrWhy(ring, PlaceOf(row), TextOf(row, "text")), TextOf(row, "plaintext"));
        EXPECT_EQ(Keyring::KidOf(TextOf(row, "text")), ring.writing_kid());
    }
}

TEST(KeyringVectors, NoneOfTheWrongOnesOpens) {
    const auto vectors = ReadVectors("secret-envelope.json");
    const auto cases = vectors.root().Find("must_fail");
    ASSERT_EQ(cases.size(), 5u);
    const auto keys = vectors.root().Find("keys");
    const auto ring = RingOf(TextOf(keys.At(0), "input"));
    std::vector<std::string> reasons;
    for (size_t i = 0; i < cases.size(); ++i) {
        reasons.push_back(OpenedOrWhy(ring, PlaceOf(cases.At(i)), TextOf(cases.At(i), "text")));
    }
    EXPECT_THAT(
        reasons,
        testing::ElementsAre(
            "error: does not open here", "error: does not open here", "error: does not open here",
            "error: unknown key id 0dc810c1", "error: not an envelope"
        )
    );
}

TEST(Keyring, PreviousKeysOnlyRead) {
    SystemRandom random;
    const auto old_ring = RingOf("the previous passphrase of it all");
    const auto sealed = old_ring.Seal(kPlace, SecretOf("secret"), random);
    const auto ring = RingOf("the new passphrase of it all", {"the previous passphrase of it all"});
    EXPECT_EQ(OpenedOrWhy(ring, kPlace, sealed), "secret");
    const auto again = ring.Seal(kPlace, SecretOf("secret"), random);
    EXPECT_EQ(Keyring::KidOf(again), ring.writing_kid());
    EXPECT_THAT(OpenedOrWhy(old_ring, kPlace, again), HasSubstr("unknown key id"));
}

TEST(Keyring, TextsAreRefusedWithoutBeingRepeated) {
    EXPECT_THAT(WhyNoRing(""), HasSubstr("empty"));
    EXPECT_THAT(WhyNoRing("some passphrase", {""}), HasSubstr("empty"));
    EXPECT_THAT(WhyNoRing("not \xFF utf-8"), HasSubstr("not valid UTF-8"));
    EXPECT_THAT(WhyNoRing("same text", {"other text", "same text"}), HasSubstr("two master keys"));
    EXPECT_THAT(WhyNoRing("same text", {"same text"}), Not(HasSubstr("same text")));
    // The same bytes written in two ways are one key as well.
    EXPECT_THAT(
        WhyNoRing(
            "404142434445464748494A4B4C4D4E4F505152535455565758595a5b5c5d5e5f",
            {"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="}
        ),
        HasSubstr("0dc810c1")
    );
}

TEST(Keyring, TextsThatAreNearlyHexOrBase64ArePassphrases) {
    const std::string hex(63, 'a');
    EXPECT_NE(RingOf(hex + "g").writing_kid(), RingOf(hex + "a").writing_kid());
    EXPECT_EQ(RingOf(hex + "A").writing_kid(), RingOf(hex + "a").writing_kid());
    // 44 characters that decode to 33 bytes.
    EXPECT_EQ(RingOf(std::string(44, 'A')).writing_kid().size(), 8u);
}

TEST(Keyring, APassphraseIsTheSameInEveryNormalForm) {
    EXPECT_EQ(
        RingOf("caf\u00e9 au lait, s'il vous pla\u00eet").writing_kid(),
        RingOf("cafe\u0301 au lait, s'il vous plai\u0302t").writing_kid()
    );
}

TEST(Keyring, EachSealingDiffersAndEveryPartOfThePlaceCounts) {
    SystemRandom random;
    const auto ring = RingOf("a passphrase for the place");
    const auto sealed = ring.Seal(kPlace, SecretOf("v"), random);
    EXPECT_NE(sealed, ring.Seal(kPlace, SecretOf("v"), random));
    const SealedPlace kOthers[] = {
        {"webhook",  "signing_secret",      "org", "row" },
        {"webhooks", "signing_secret_prev", "org", "row" },
        {"webhooks", "signing_secret",      "",    "row" },
        {"webhooks", "signing_secret",      "org", "row2"},
        {"webhooks", "signing_secreto",     "rg",  "row" },
    };
    for (const auto& place : kOthers) {
        EXPECT_EQ(OpenedOrWhy(ring, place, sealed), "error: does not open here");
    }
}

TEST(Keyring, AnythingElseIsNotAnEnvelope) {
    SystemRandom random;
    const auto ring = RingOf("a passphrase for envelopes");
    const auto sealed = ring.Seal(kPlace, SecretOf("12"), random);
    const std::string kTexts[] = {
        "",
        "ose1.",
        "ose1.AQE",
        "ose2." + sealed.substr(5),
        sealed + "=",
        " " + sealed,
        sealed + "\n",
        "ose1.A" + sealed.substr(5),
        "ose1." + base::Base64UrlEncode(std::string("\x02\x01", 2) + std::string(40, 'x')),
        "ose1." + base::Base64UrlEncode(std::string("\x01\x02", 2) + std::string(40, 'x')),
        "ose1." + base::Base64UrlEncode(std::string("\x01\x01", 2) + std::string(31, 'x')),
    };
    for (const auto& text : kTexts) {
        EXPECT_EQ(OpenedOrWhy(ring, kPlace, text), "error: not an envelope") << text;
        EXPECT_EQ(Keyring::KidOf(text), "") << text;
    }
    const auto empty = ring.Seal(kPlace, base::Secret(), random);
    EXPECT_EQ(OpenedOrWhy(ring, kPlace, empty), "");
}

}  // namespace
}  // namespace opensend::crypto
