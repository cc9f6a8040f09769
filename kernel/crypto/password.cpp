#include "kernel/crypto/password.h"

#include <optional>

#include <openssl/evp.h>
#include <sodium.h>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"

namespace opensend::crypto {
namespace {

constexpr unsigned long long kPasses = 2;
constexpr size_t kMemory = size_t{19'456} * 1024;
constexpr int64_t kMaxPasses = 16;
constexpr int64_t kMaxMemoryKib = 256 * 1024;
constexpr size_t kMaxPhc = 256;
constexpr size_t kMaxPassword = 4'096;

void StartSodium() {
    // Safe to call again and from several threads.
    OPENSEND_CHECK(sodium_init() >= 0, "libsodium starts");
}

/// "m=19456,t=2,p=1" by name.
std::optional<int64_t> Cost(std::string_view parameters, std::string_view name) {
    for (const std::string_view part : base::Split(parameters, ',')) {
        const size_t equals = part.find('=');
        if (equals != std::string_view::npos && part.substr(0, equals) == name) {
            return base::ParseInt(part.substr(equals + 1));
        }
    }
    return std::nullopt;
}

/// Base64 without padding.
std::optional<std::string> DecodePhc(std::string_view text) {
    std::string padded(text);
    while (padded.size() % 4 != 0) padded += '=';
    return base::Base64Decode(padded);
}

bool VerifyArgon2(const base::Secret& password, std::string_view phc) {
    const auto parts = base::Split(phc, '$');
    if (parts.size() != 6 || parts[2] != "v=19") return false;
    const auto memory = Cost(parts[3], "m");
    const auto passes = Cost(parts[3], "t");
    // Somebody else's row must not make this process take gigabytes.
    if (!memory || !passes || *memory > kMaxMemoryKib || *passes > kMaxPasses) return false;
    StartSodium();
    const std::string text(phc);
    return crypto_pwhash_str_verify(
               text.c_str(), password.Reveal().data(), password.Reveal().size()
           ) == 0;
}

bool VerifyScrypt(const base::Secret& password, std::string_view phc) {
    const auto parts = base::Split(phc, '$');
    if (parts.size() != 5) return false;
    const auto log_n = Cost(parts[2], "ln");
    const auto r = Cost(parts[2], "r");
    const auto p = Cost(parts[2], "p");
    const auto salt = DecodePhc(parts[3]);
    const auto expected = DecodePhc(parts[4]);
    if (!log_n || !r || !p || !salt || !expected) return false;
    if (*log_n < 10 || *log_n > 17 || *r < 1 || *r > 8 || *p < 1 || *p > 4) return false;
    if (expected->size() != 32) return false;
    std::string made(32, '\0');
    const std::string_view secret = password.Reveal();
    const int ok = EVP_PBE_scrypt(
        secret.data(), secret.size(), reinterpret_cast<const unsigned char*>(salt->data()),
        salt->size(), uint64_t{1} << *log_n, static_cast<uint64_t>(*r), static_cast<uint64_t>(*p),
        uint64_t{512} * 1024 * 1024, reinterpret_cast<unsigned char*>(made.data()), made.size()
    );
    return ok == 1 && EqualConstantTime(made, *expected);
}

}  // namespace

std::string HashPassword(const base::Secret& password) {
    StartSodium();
    char out[crypto_pwhash_STRBYTES];
    const int made = crypto_pwhash_str_alg(
        out, password.Reveal().data(), password.Reveal().size(), kPasses, kMemory,
        crypto_pwhash_ALG_ARGON2ID13
    );
    OPENSEND_CHECK(made == 0, "memory for a password hash");
    return out;
}

bool VerifyPassword(const base::Secret& password, std::string_view phc) {
    if (phc.size() > kMaxPhc || password.Reveal().size() > kMaxPassword) return false;
    if (phc.starts_with("$argon2id$")) return VerifyArgon2(password, phc);
    if (phc.starts_with("$scrypt$")) return VerifyScrypt(password, phc);
    return false;
}

bool IsOutdatedHash(std::string_view phc) {
    if (!phc.starts_with("$argon2id$")) return true;
    StartSodium();
    return crypto_pwhash_str_needs_rehash(std::string(phc).c_str(), kPasses, kMemory) != 0;
}

}  // namespace opensend::crypto
