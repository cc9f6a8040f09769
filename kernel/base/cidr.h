#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace opensend::base {

/// An IPv4 or IPv6 address; mapped IPv4 (::ffff:a.b.c.d) is IPv4.
struct IpAddress {
    std::array<uint8_t, 16> bytes{};  // IPv4: the first four
    bool is_v6 = false;

    friend bool operator==(const IpAddress&, const IpAddress&) = default;
    std::string ToString() const;
};

/// Plain text form, without zone, brackets or port. With `keep_mapped`, ::ffff:a.b.c.d stays IPv6.
std::optional<IpAddress> ParseIp(std::string_view text, bool keep_mapped = false);

/// A range of addresses; host bits are zero.
struct Cidr {
    IpAddress base;
    int prefix = 0;

    bool Contains(const IpAddress& address) const;
    std::string ToString() const;
};

/// "10.0.0.0/8" or a bare address; nullopt when host bits are set or the text is another thing.
std::optional<Cidr> ParseCidr(std::string_view text);

}  // namespace opensend::base
