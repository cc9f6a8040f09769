#include "kernel/crypto/random.h"

#include <algorithm>
#include <array>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"

namespace opensend::crypto {

void SystemRandom::Fill(std::span<uint8_t> out) {
    constexpr size_t kChunk = size_t{1} << 20;
    while (!out.empty()) {
        const size_t n = std::min(out.size(), kChunk);
        OPENSEND_CHECK(
            RAND_bytes(out.data(), static_cast<int>(n)) == 1, "the system generator works"
        );
        out = out.subspan(n);
    }
}

std::string RandomBase62(base::Random& random, size_t n) {
    constexpr uint8_t kUniform = 248;  // the largest multiple of 62 in a byte
    std::string out;
    out.reserve(n);
    std::array<uint8_t, 64> bytes{};
    while (out.size() < n) {
        const auto wanted = std::span(bytes).first(std::min(n - out.size(), bytes.size()));
        random.Fill(wanted);
        for (const uint8_t byte : wanted) {
            if (byte < kUniform) out += base::kBase62Alphabet[byte % 62];
        }
    }
    OPENSSL_cleanse(bytes.data(), bytes.size());
    return out;
}

}  // namespace opensend::crypto
