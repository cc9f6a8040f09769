#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace opensend::crypto {

/// 32 bytes.
std::string Sha256(std::string_view data);
std::string HmacSha256(std::string_view key, std::string_view data);
/// HKDF-SHA-256 with empty salt, 32 bytes (platform.md 0.1).
std::string Hkdf(std::string_view key, std::string_view info);
/// Constant time for equal lengths.
bool EqualConstantTime(std::string_view a, std::string_view b);

/// SHA-256 over pieces.
class Sha256Stream {
public:
    Sha256Stream();
    ~Sha256Stream();
    Sha256Stream(const Sha256Stream&) = delete;
    Sha256Stream& operator=(const Sha256Stream&) = delete;
    Sha256Stream& Update(std::string_view data);
    std::string Finish();  // once

private:
    void* context_;
};

}  // namespace opensend::crypto
