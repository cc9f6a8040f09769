#include "kernel/crypto/signature.h"

#include <string>

#include <gtest/gtest.h>

#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"
#include "tests/unit/crypto/vector_file.h"

namespace opensend::crypto {
namespace {

/// The DER inside a PEM text.
base::Secret DerOf(std::string_view pem) {
    std::string encoded;
    for (const auto line : base::Split(pem, '\n')) {
        if (!line.starts_with("-----")) encoded += line;
    }
    return base::Secret(base::Base64Decode(encoded).value());
}

/// The p= tag of a DKIM record.
std::string PublishedKey(std::string_view record) {
    return base::Base64Decode(record.substr(record.find("p=") + 2)).value();
}

SigningKey KeyOf(json::Value vectors, std::string_view name) {
    const auto row = vectors.Find("keys").Find(name);
    auto key = SigningKey::FromPkcs8(DerOf(TextOf(row, "private_key_test_only")));
    EXPECT_TRUE(key.ok()) << (key.ok() ? "" : key.error());
    return std::move(key).value();
}

TEST(SigningKeyVectors, BothKeysLoadAndPublishWhatTheRecordSays) {
    const auto vectors = ReadVectors("dkim.json");
    for (const char* name : {"rsa", "ed25519"}) {
        const auto row = vectors.root().Find("keys").Find(name);
        const auto key = KeyOf(vectors.root(), name);
        EXPECT_EQ(key.PublicBytes(), PublishedKey(TextOf(row, "dns_txt"))) << name;
        const auto der = DerOf(TextOf(row, "private_key_test_only"));
        EXPECT_EQ(key.ToPkcs8().Reveal(), der.Reveal()) << name;
    }
    EXPECT_EQ(KeyOf(vectors.root(), "rsa").kind(), SigningKey::Kind::kRsa);
    EXPECT_EQ(KeyOf(vectors.root(), "ed25519").kind(), SigningKey::Kind::kEd25519);
}

TEST(SigningKeyVectors, EverySignatureIsReproducedAndVerifies) {
    const auto vectors = ReadVectors("dkim.json");
    const auto signed_messages = vectors.root().Find("signed");
    size_t checked = 0;
    for (size_t i = 0; i < signed_messages.size(); ++i) {
        const auto signatures = signed_messages.At(i).Find("signatures");
        for (size_t k = 0; k < signatures.size(); ++k, ++checked) {
            const auto row = signatures.At(k);
            const bool is_rsa = TextOf(row, "algorithm") == "rsa-sha256";
            const auto key = KeyOf(vectors.root(), is_rsa ? "rsa" : "ed25519");
            const auto input = TextOf(row, "signing_input");
            const auto signature = base::Base64Decode(TextOf(row, "signature_b64")).value();
            EXPECT_EQ(Sha256(input), BytesOf(row, "signing_input_sha256_hex"));
            EXPECT_EQ(key.SignDkim(input), signature) << TextOf(row, "algorithm");
            EXPECT_TRUE(VerifyDkim(key.kind(), key.PublicBytes(), input, signature));
        }
    }
    EXPECT_EQ(checked, 4u);
}

TEST(SigningKey, GeneratedKeysSignAndSurviveStorage) {
    const SigningKey kKeys[] = {SigningKey::GenerateRsa2048(), SigningKey::GenerateEd25519()};
    for (const auto& key : kKeys) {
        const auto stored = SigningKey::FromPkcs8(key.ToPkcs8());
        ASSERT_TRUE(stored.ok());
        EXPECT_EQ(stored.value().PublicBytes(), key.PublicBytes());
        EXPECT_EQ(stored.value().kind(), key.kind());
        const auto signature = stored.value().SignDkim("data");
        EXPECT_EQ(signature.size(), key.kind() == SigningKey::Kind::kRsa ? 256u : 64u);
        EXPECT_TRUE(VerifyDkim(key.kind(), key.PublicBytes(), "data", signature));
        EXPECT_FALSE(VerifyDkim(key.kind(), key.PublicBytes(), "date", signature));
        EXPECT_FALSE(VerifyDkim(key.kind(), key.PublicBytes(), "data", signature.substr(1)));
        EXPECT_FALSE(VerifyDkim(key.kind(), key.PublicBytes(), "data", ""));
        EXPECT_FALSE(VerifyDkim(key.kind(), "", "data", signature));
        EXPECT_FALSE(VerifyDkim(key.kind(), key.PublicBytes() + "x", "data", signature));
    }
    EXPECT_NE(
        SigningKey::GenerateEd25519().PublicBytes(), SigningKey::GenerateEd25519().PublicBytes()
    );
}

TEST(SigningKey, BytesThatAreNoUsableKeyAreRefused) {
    const auto der = SigningKey::GenerateEd25519().ToPkcs8();
    const auto why = [](std::string bytes) {
        const auto key = SigningKey::FromPkcs8(base::Secret(std::move(bytes)));
        return key.ok() ? "accepted" : key.error();
    };
    const std::string good(der.Reveal());
    EXPECT_EQ(why(""), "not a PKCS#8 key");
    EXPECT_EQ(why("garbage"), "not a PKCS#8 key");
    EXPECT_EQ(why(good + "x"), "not a PKCS#8 key");
    EXPECT_EQ(why(good.substr(0, good.size() - 1)), "not a PKCS#8 key");
    EXPECT_EQ(why(std::string(20'000, '\x30')), "the key is too long");
    // X25519 in place of Ed25519: the same form, a key that cannot sign.
    auto agreement = good;
    agreement[agreement.find("\x2b\x65\x70") + 2] = '\x6e';
    EXPECT_EQ(why(agreement), "neither an RSA nor an Ed25519 key");
    auto unknown = good;
    unknown[unknown.find("\x2b\x65\x70") + 2] = '\x01';
    EXPECT_EQ(why(unknown), "the key cannot be read");
}

TEST(Signature, Ed25519SignsTheDataItself) {
    const SigningKey key = SigningKey::GenerateEd25519();
    const std::string signature = key.SignEd25519("data");
    EXPECT_EQ(signature.size(), 64u);
    EXPECT_TRUE(VerifyEd25519(key.PublicBytes(), "data", signature));
    EXPECT_FALSE(VerifyEd25519(key.PublicBytes(), "date", signature));
    EXPECT_FALSE(VerifyEd25519(SigningKey::GenerateEd25519().PublicBytes(), "data", signature));
    EXPECT_FALSE(VerifyEd25519("short", "data", signature));
    EXPECT_FALSE(VerifyEd25519(key.PublicBytes(), "data", ""));
    EXPECT_FALSE(VerifyDkim(SigningKey::Kind::kEd25519, key.PublicBytes(), "data", signature));
}

}  // namespace
}  // namespace opensend::crypto
