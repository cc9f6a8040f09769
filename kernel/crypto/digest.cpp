#include "kernel/crypto/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "kernel/base/check.h"
#include "kernel/base/text.h"

namespace opensend::crypto {
namespace {

constexpr size_t kDigestBytes = 32;

// Looking an algorithm up by name costs more than hashing a short text, so it happens once.
const EVP_MD* Sha256Algorithm() {
    static EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    OPENSEND_CHECK(kAlgorithm != nullptr, "OpenSSL has SHA-256");
    return kAlgorithm;
}

EVP_MAC_CTX* NewHmacContext() {
    static EVP_MAC* const kAlgorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    OPENSEND_CHECK(kAlgorithm != nullptr, "OpenSSL has HMAC");
    EVP_MAC_CTX* context = EVP_MAC_CTX_new(kAlgorithm);
    std::string name = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("digest", name.data(), 0), OSSL_PARAM_construct_end()};
    OPENSEND_CHECK(
        context != nullptr && EVP_MAC_CTX_set_params(context, params) == 1, "an HMAC context"
    );
    return context;
}

EVP_MD_CTX* StartSha256(EVP_MD_CTX* context) {
    OPENSEND_CHECK(
        context != nullptr && EVP_DigestInit_ex2(context, Sha256Algorithm(), nullptr) == 1,
        "SHA-256 starts"
    );
    return context;
}

unsigned char* WritableBytes(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

std::string FinishSha256(EVP_MD_CTX* context) {
    std::string out(kDigestBytes, '\0');
    OPENSEND_CHECK(
        EVP_DigestFinal_ex(context, WritableBytes(out), nullptr) == 1, "SHA-256 finishes"
    );
    return out;
}

/// One per thread: making one costs several allocations.
struct ThreadContexts {
    EVP_MD_CTX* digest = EVP_MD_CTX_new();
    EVP_MAC_CTX* hmac = NewHmacContext();

    ThreadContexts() = default;
    ThreadContexts(const ThreadContexts&) = delete;
    ThreadContexts& operator=(const ThreadContexts&) = delete;
    ~ThreadContexts() {
        EVP_MD_CTX_free(digest);
        EVP_MAC_CTX_free(hmac);
    }
};

ThreadContexts& Contexts() {
    thread_local ThreadContexts contexts;
    return contexts;
}

}  // namespace

std::string Sha256(std::string_view data) {
    EVP_MD_CTX* context = StartSha256(Contexts().digest);
    OPENSEND_CHECK(EVP_DigestUpdate(context, data.data(), data.size()) == 1, "SHA-256 takes data");
    return FinishSha256(context);
}

std::string HmacSha256(std::string_view key, std::string_view data) {
    EVP_MAC_CTX* context = Contexts().hmac;
    // A null key would mean the previous one.
    const auto* key_bytes = reinterpret_cast<const unsigned char*>(key.empty() ? "" : key.data());
    const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
    std::string out(kDigestBytes, '\0');
    size_t written = 0;
    OPENSEND_CHECK(
        EVP_MAC_init(context, key_bytes, key.size(), nullptr) == 1 &&
            EVP_MAC_update(context, bytes, data.size()) == 1 &&
            EVP_MAC_final(context, WritableBytes(out), &written, out.size()) == 1 &&
            written == kDigestBytes,
        "HMAC works"
    );
    return out;
}

std::string Hkdf(std::string_view key, std::string_view info) {
    // One block of output: extract with the salt of zeros that "empty" stands for, expand once.
    std::string extracted = HmacSha256(std::string(kDigestBytes, '\0'), key);
    std::string out = HmacSha256(extracted, base::Cat(info, '\x01'));
    OPENSSL_cleanse(extracted.data(), extracted.size());
    return out;
}

bool EqualConstantTime(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Sha256Stream::Sha256Stream() : context_(StartSha256(EVP_MD_CTX_new())) {}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

Sha256Stream& Sha256Stream::Update(std::string_view data) {
    OPENSEND_CHECK(context_ != nullptr, "a stream takes data until it is finished");
    auto* context = static_cast<EVP_MD_CTX*>(context_);
    OPENSEND_CHECK(EVP_DigestUpdate(context, data.data(), data.size()) == 1, "SHA-256 takes data");
    return *this;
}

std::string Sha256Stream::Finish() {
    OPENSEND_CHECK(context_ != nullptr, "a stream is finished once");
    auto* context = static_cast<EVP_MD_CTX*>(context_);
    std::string out = FinishSha256(context);
    EVP_MD_CTX_free(context);
    context_ = nullptr;
    return out;
}

}  // namespace opensend::crypto
