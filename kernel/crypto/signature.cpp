#include "kernel/crypto/signature.h"

#include <memory>
#include <utility>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "kernel/base/check.h"
#include "kernel/crypto/digest.h"

namespace opensend::crypto {
namespace {

template <auto Free>
struct FreeWith {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using KeyHandle = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using Pkcs8 = std::unique_ptr<PKCS8_PRIV_KEY_INFO, FreeWith<PKCS8_PRIV_KEY_INFO_free>>;
using SignContext = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;

constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;
constexpr size_t kMaxDerBytes = 16384;

bool IsEd25519(const EVP_PKEY* key) { return EVP_PKEY_is_a(key, "ED25519") == 1; }

const unsigned char* UnsignedBytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

KeyHandle RsaPublicKey(std::string_view der) {
    if (der.size() > kMaxDerBytes) return nullptr;
    const auto* cursor = UnsignedBytes(der);
    KeyHandle key(d2i_PUBKEY(nullptr, &cursor, static_cast<long>(der.size())));
    const bool is_rsa = key != nullptr && cursor == UnsignedBytes(der) + der.size() &&
                        EVP_PKEY_is_a(key.get(), "RSA") == 1;
    return is_rsa ? std::move(key) : nullptr;
}

KeyHandle Ed25519PublicKey(std::string_view raw) {
    return KeyHandle(
        EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, UnsignedBytes(raw), raw.size())
    );
}

/// Runs an i2d function, which writes where its argument points and moves the argument on.
template <class Encode>
std::string Der(Encode encode) {
    const int size = encode(nullptr);
    OPENSEND_CHECK(size > 0, "a key has an encoding");
    std::string out(static_cast<size_t>(size), '\0');
    auto* cursor = reinterpret_cast<unsigned char*>(out.data());
    OPENSEND_CHECK(encode(&cursor) == size, "a key has one encoding");
    return out;
}

std::string SignWith(EVP_PKEY* key, const char* algorithm, std::string_view data) {
    const SignContext context(EVP_MD_CTX_new());
    std::string out(static_cast<size_t>(EVP_PKEY_get_size(key)), '\0');
    size_t size = out.size();
    OPENSEND_CHECK(
        context != nullptr &&
            EVP_DigestSignInit_ex(
                context.get(), nullptr, algorithm, nullptr, nullptr, key, nullptr
            ) == 1 &&
            EVP_DigestSign(
                context.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                UnsignedBytes(data), data.size()
            ) == 1,
        "signing works"
    );
    out.resize(size);
    return out;
}

bool VerifyWith(
    EVP_PKEY* key, const char* algorithm, std::string_view data, std::string_view signature
) {
    const SignContext context(EVP_MD_CTX_new());
    OPENSEND_CHECK(
        context != nullptr && EVP_DigestVerifyInit_ex(
                                  context.get(), nullptr, algorithm, nullptr, nullptr, key, nullptr
                              ) == 1,
        "verifying starts"
    );
    return EVP_DigestVerify(
               context.get(), UnsignedBytes(signature), signature.size(), UnsignedBytes(data),
               data.size()
           ) == 1;
}

}  // namespace

struct SigningKey::State {
    State(EVP_PKEY* owned, Kind its_kind) : key(owned), kind(its_kind) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { EVP_PKEY_free(key); }

    EVP_PKEY* const key;
    const Kind kind;
};

SigningKey SigningKey::GenerateRsa2048() {
    SigningKey out;
    KeyHandle key(EVP_RSA_gen(2048u));
    OPENSEND_CHECK(key != nullptr, "an RSA key");
    out.state_ = std::make_shared<const State>(key.release(), Kind::kRsa);
    return out;
}

SigningKey SigningKey::GenerateEd25519() {
    SigningKey out;
    KeyHandle key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    OPENSEND_CHECK(key != nullptr, "an Ed25519 key");
    out.state_ = std::make_shared<const State>(key.release(), Kind::kEd25519);
    return out;
}

base::Result<SigningKey, std::string> SigningKey::FromPkcs8(const base::Secret& der) {
    const auto fail = [](std::string why) { return base::Failure{std::move(why)}; };
    if (der.size() > kMaxDerBytes) return fail("the key is too long");
    const auto* const begin = UnsignedBytes(der.Reveal());
    const auto* cursor = begin;
    const Pkcs8 info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &cursor, static_cast<long>(der.size())));
    if (info == nullptr || cursor != begin + der.size()) return fail("not a PKCS#8 key");
    KeyHandle key(EVP_PKCS82PKEY(info.get()));
    if (key == nullptr) return fail("the key cannot be read");
    const bool is_rsa = EVP_PKEY_is_a(key.get(), "RSA") == 1;
    if (!is_rsa && !IsEd25519(key.get())) return fail("neither an RSA nor an Ed25519 key");
    const int bits = EVP_PKEY_get_bits(key.get());
    if (is_rsa && (bits < kMinRsaBits || bits > kMaxRsaBits)) {
        return fail("an RSA key has 2048 to 8192 bits");
    }
    SigningKey out;
    const Kind kind = is_rsa ? Kind::kRsa : Kind::kEd25519;
    out.state_ = std::make_shared<const State>(key.release(), kind);
    return out;
}

SigningKey::Kind SigningKey::kind() const { return state_->kind; }

base::Secret SigningKey::ToPkcs8() const {
    const Pkcs8 info(EVP_PKEY2PKCS8(state_->key));
    OPENSEND_CHECK(info != nullptr, "a key has a PKCS#8 form");
    return base::Secret(Der([&](unsigned char** out) {
        return i2d_PKCS8_PRIV_KEY_INFO(info.get(), out);
    }));
}

std::string SigningKey::PublicBytes() const {
    EVP_PKEY* key = state_->key;
    if (state_->kind == Kind::kRsa) {
        return Der([&](unsigned char** out) { return i2d_PUBKEY(key, out); });
    }
    std::string out(32, '\0');
    size_t size = out.size();
    auto* bytes = reinterpret_cast<unsigned char*>(out.data());
    OPENSEND_CHECK(
        EVP_PKEY_get_raw_public_key(key, bytes, &size) == 1 && size == out.size(), "a public key"
    );
    return out;
}

std::string SigningKey::SignDkim(std::string_view data) const {
    if (state_->kind == Kind::kRsa) return SignWith(state_->key, "SHA256", data);
    // RFC 8463: Ed25519 signs the digest as if it were the message.
    return SignWith(state_->key, nullptr, Sha256(data));
}

std::string SigningKey::SignEd25519(std::string_view data) const {
    OPENSEND_CHECK(state_->kind == Kind::kEd25519, "an Ed25519 key signs");
    return SignWith(state_->key, nullptr, data);
}

bool VerifyDkim(
    SigningKey::Kind kind,
    std::string_view public_bytes,
    std::string_view data,
    std::string_view signature
) {
    if (kind == SigningKey::Kind::kEd25519)
        return VerifyEd25519(public_bytes, Sha256(data), signature);
    const KeyHandle key = RsaPublicKey(public_bytes);
    return key != nullptr && VerifyWith(key.get(), "SHA256", data, signature);
}

bool VerifyEd25519(
    std::string_view public_bytes, std::string_view data, std::string_view signature
) {
    const KeyHandle key = Ed25519PublicKey(public_bytes);
    return key != nullptr && VerifyWith(key.get(), nullptr, data, signature);
}

}  // namespace opensend::crypto
