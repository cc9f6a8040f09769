#include "kernel/crypto/digest.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "kernel/base/encoding.h"
#include "kernel/crypto/aead.h"
#include "kernel/crypto/random.h"

namespace opensend::crypto {
namespace {

std::string FromHex(std::string_view hex) { return base::HexDecode(hex).value(); }

TEST(Digest, Sha256MatchesItsStandard) {
    EXPECT_EQ(
        base::HexEncode(Sha256("")),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    EXPECT_EQ(
        base::HexEncode(Sha256("abc")),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

TEST(Digest, PiecesHashLikeTheWhole) {
    const std::string text(100'000, 'x');
    Sha256Stream stream;
    for (size_t at = 0; at < text.size(); at += 777) stream.Update(text.substr(at, 777));
    stream.Update("");
    EXPECT_EQ(stream.Finish(), Sha256(text));
}

TEST(Digest, HmacMatchesRfc4231) {
    EXPECT_EQ(
        base::HexEncode(HmacSha256(std::string(20, '\x0b'), "Hi There")),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    );
    EXPECT_EQ(
        base::HexEncode(HmacSha256("Jefe", "what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    EXPECT_EQ(
        base::HexEncode(HmacSha256(
            std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"
        )),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
}

TEST(Digest, AnEmptyKeyIsNotThePreviousOne) {
    constexpr auto kEmpty = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    EXPECT_EQ(base::HexEncode(HmacSha256("", "")), kEmpty);
    HmacSha256("a key", "data");
    EXPECT_EQ(base::HexEncode(HmacSha256({}, {})), kEmpty);
}

TEST(Digest, HkdfMatchesRfc5869WithoutSalt) {
    EXPECT_EQ(
        base::HexEncode(Hkdf(std::string(22, '\x0b'), "")),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    );
    EXPECT_NE(Hkdf("k", "a"), Hkdf("k", "b"));
}

TEST(Digest, EqualityLooksAtEveryByte) {
    EXPECT_TRUE(EqualConstantTime("", ""));
    EXPECT_TRUE(EqualConstantTime(std::string_view("a\0b", 3), std::string_view("a\0b", 3)));
    EXPECT_FALSE(EqualConstantTime(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
    EXPECT_FALSE(EqualConstantTime("abc", "ab"));
}

TEST(DigestDeathTest, AStreamIsFinishedOnce) {
    Sha256Stream stream;
    stream.Finish();
    EXPECT_DEATH(stream.Finish(), "finished once");
    EXPECT_DEATH(stream.Update("x"), "until it is finished");
}

/// NIST test case 16 of the GCM proposal: 256-bit key, associated data, 60 bytes.
TEST(Aead, MatchesAPublishedCase) {
    const auto key = FromHex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    const auto nonce = FromHex("cafebabefacedbaddecaf888");
    const auto associated = FromHex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    const auto plain = FromHex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449"
        "a6b525b16aedf5aa0de657ba637b39"
    );
    const auto sealed = AeadSeal(key, nonce, associated, plain);
    EXPECT_EQ(
        base::HexEncode(sealed),
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056"
        "828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
    );
    const auto opened = AeadOpen(key, nonce, associated, sealed);
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->Reveal(), plain);
}

TEST(Aead, AnyChangedBitKeepsItClosed) {
    const std::string key(kAeadKeyBytes, 'k');
    const std::string nonce(kAeadNonceBytes, 'n');
    const auto sealed = AeadSeal(key, nonce, "where", "plain");
    for (size_t i = 0; i < sealed.size() * 8; ++i) {
        auto changed = sealed;
        changed[i / 8] = static_cast<char>(changed[i / 8] ^ (1 << (i % 8)));
        EXPECT_FALSE(AeadOpen(key, nonce, "where", changed)) << i;
    }
    EXPECT_FALSE(AeadOpen(key, nonce, "elsewhere", sealed));
    EXPECT_FALSE(AeadOpen(std::string(kAeadKeyBytes, 'K'), nonce, "where", sealed));
    EXPECT_FALSE(AeadOpen(key, std::string(kAeadNonceBytes, 'N'), "where", sealed));
    EXPECT_FALSE(AeadOpen(key, nonce, "where", sealed.substr(1)));
    EXPECT_FALSE(AeadOpen(key, nonce, "where", "short"));
    EXPECT_TRUE(AeadOpen(key, nonce, "", AeadSeal(key, nonce, "", ""))->empty());
}

/// Repeats a fixed sequence of bytes.
class ScriptedRandom final : public base::Random {
public:
    explicit ScriptedRandom(std::string bytes) : bytes_(std::move(bytes)) {}
    void Fill(std::span<uint8_t> out) override {
        for (auto& byte : out) byte = static_cast<uint8_t>(bytes_[at_++ % bytes_.size()]);
    }

private:
    std::string bytes_;
    size_t at_ = 0;
};

TEST(Random, Base62DiscardsTheBytesThatWouldFavourSomeCharacters) {
    ScriptedRandom random("\xF8\xFF\x01\xF7\xFE\x3D\x3E");
    EXPECT_EQ(RandomBase62(random, 7), "1zz01zz");
    EXPECT_EQ(RandomBase62(random, 0), "");
}

TEST(Random, TheSystemSourceFillsEverythingAndDoesNotRepeat) {
    SystemRandom random;
    EXPECT_NE(random.String(32), random.String(32));
    const auto many = random.String(3 << 20);
    std::array<size_t, 256> counts{};
    for (const char c : many) ++counts[static_cast<uint8_t>(c)];
    for (const size_t count : counts) EXPECT_GT(count, 10'000u);
    EXPECT_EQ(RandomBase62(random, 1000).size(), 1000u);
}

}  // namespace
}  // namespace opensend::crypto
