#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/clock.h"
#include "kernel/base/guarded.h"
#include "kernel/base/random.h"

namespace opensend::base {

/// 128 bits of RFC 9562; all zero is the nil value.
struct Uuid {
    std::array<uint8_t, 16> bytes{};

    friend auto operator<=>(const Uuid&, const Uuid&) = default;
    bool IsNil() const { return *this == Uuid{}; }
    /// Lower-case text of 36 characters.
    std::string ToString() const;
    /// The 22 base-62 digits (0-9A-Za-z), most significant first, of `msg_` and `req_` ids.
    std::string ToBase62() const;
    /// Millisecond timestamp of a version 7 value.
    Time Timestamp() const;
};

/// Any RFC 4122 text form of 36 characters, upper or lower case.
std::optional<Uuid> ParseUuid(std::string_view text);
/// The inverse of ToBase62.
std::optional<Uuid> ParseBase62Uuid(std::string_view text);

/// Mints version 7 values: their order is time order, so that inserts append.
class UuidSource {
public:
    UuidSource(const Clock& clock, Random& random) : clock_(clock), random_(random) {}
    /// A new value whose timestamp is now, greater than those that this source gave in the same
    /// millisecond. Thread-safe.
    Uuid Next();

private:
    const Clock& clock_;
    Random& random_;
    Guarded<Uuid> last_;
};

}  // namespace opensend::base

template <>
struct std::hash<opensend::base::Uuid> {
    size_t operator()(const opensend::base::Uuid& id) const noexcept {
        uint64_t a = 0;
        for (size_t i = 8; i < 16; ++i) a = a * 257 + id.bytes[i];
        for (size_t i = 0; i < 8; ++i) a = a * 257 + id.bytes[i];
        return a;
    }
};
