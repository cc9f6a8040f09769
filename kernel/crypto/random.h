#pragma once

#include "kernel/base/random.h"

namespace opensend::crypto {

/// The operating system's generator through OpenSSL; a failure aborts the process.
class SystemRandom final : public base::Random {
public:
    void Fill(std::span<uint8_t> out) override;
};

/// Text of `n` characters drawn uniformly from the base-62 alphabet (KEY-02).
std::string RandomBase62(base::Random& random, size_t n);

}  // namespace opensend::crypto
