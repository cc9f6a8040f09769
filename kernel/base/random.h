#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace opensend::base {

/// Where randomness comes from. Thread-safe; the system source is unpredictable (crypto/random.h).
class Random {
public:
    virtual ~Random() = default;
    virtual void Fill(std::span<uint8_t> out) = 0;

    template <size_t N>
    std::array<uint8_t, N> Bytes() {
        std::array<uint8_t, N> out{};
        Fill(out);
        return out;
    }
    std::string String(size_t n) {
        std::string out(n, '\0');
        Fill({reinterpret_cast<uint8_t*>(out.data()), n});
        return out;
    }
};

}  // namespace opensend::base
