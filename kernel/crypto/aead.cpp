#include "kernel/crypto/aead.h"

#include <memory>
#include <utility>

#include <openssl/evp.h>

#include "kernel/base/check.h"

namespace opensend::crypto {
namespace {

constexpr size_t kMaxAeadBytes = size_t{1} << 30;

struct FreeCipher {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
// Freed, and with it the key schedule wiped, after every use.
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

const unsigned char* InBytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* OutBytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

CipherContext StartCipher(
    std::string_view key, std::string_view nonce, std::string_view associated, bool encrypt
) {
    static EVP_CIPHER* const kCipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    OPENSEND_CHECK(kCipher != nullptr, "OpenSSL has AES-256-GCM");
    OPENSEND_CHECK(
        key.size() == kAeadKeyBytes && nonce.size() == kAeadNonceBytes &&
            associated.size() < kMaxAeadBytes,
        "key and nonce have their sizes"
    );
    CipherContext context(EVP_CIPHER_CTX_new());
    int written = 0;
    OPENSEND_CHECK(
        context != nullptr &&
            EVP_CipherInit_ex2(
                context.get(), kCipher, InBytes(key), InBytes(nonce), encrypt ? 1 : 0, nullptr
            ) == 1 &&
            EVP_CipherUpdate(
                context.get(), nullptr, &written, InBytes(associated),
                static_cast<int>(associated.size())
            ) == 1,
        "AES-256-GCM starts"
    );
    return context;
}

void Crypt(EVP_CIPHER_CTX* context, std::string_view in, std::string& out) {
    int written = 0;
    OPENSEND_CHECK(
        in.empty() || EVP_CipherUpdate(
                          context, OutBytes(out), &written, InBytes(in), static_cast<int>(in.size())
                      ) == 1,
        "AES-256-GCM takes data"
    );
}

}  // namespace

std::string AeadSeal(
    std::string_view key,
    std::string_view nonce,
    std::string_view associated,
    std::string_view plain
) {
    OPENSEND_CHECK(plain.size() < kMaxAeadBytes, "plain text of a bounded size");
    const auto context = StartCipher(key, nonce, associated, true);
    std::string out(plain.size() + kAeadTagBytes, '\0');
    Crypt(context.get(), plain, out);
    int written = 0;
    unsigned char* tag = OutBytes(out) + plain.size();
    OPENSEND_CHECK(
        EVP_CipherFinal_ex(context.get(), tag, &written) == 1 &&
            EVP_CIPHER_CTX_ctrl(
                context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kAeadTagBytes), tag
            ) == 1,
        "AES-256-GCM finishes"
    );
    return out;
}

std::optional<base::Secret> AeadOpen(
    std::string_view key,
    std::string_view nonce,
    std::string_view associated,
    std::string_view sealed
) {
    if (sealed.size() < kAeadTagBytes || sealed.size() >= kMaxAeadBytes) return std::nullopt;
    const auto context = StartCipher(key, nonce, associated, false);
    const size_t plain_bytes = sealed.size() - kAeadTagBytes;
    std::string tag(sealed.substr(plain_bytes));
    std::string plain(plain_bytes, '\0');
    Crypt(context.get(), sealed.substr(0, plain_bytes), plain);
    base::Secret secret(std::move(plain));  // wipes itself when the tag is wrong
    std::string rest(kAeadTagBytes, '\0');  // stays empty in this mode
    int written = 0;
    const bool is_genuine =
        EVP_CIPHER_CTX_ctrl(
            context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag.size()), tag.data()
        ) == 1 &&
        EVP_CipherFinal_ex(context.get(), OutBytes(rest), &written) == 1;
    if (!is_genuine) return std::nullopt;
    return secret;
}

}  // namespace opensend::crypto
