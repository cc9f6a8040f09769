#include "kernel/base/cidr.h"

#include <arpa/inet.h>

#include <algorithm>

#include "kernel/base/text.h"

namespace opensend::base {

std::string IpAddress::ToString() const {
    char buffer[INET6_ADDRSTRLEN] = {};
    inet_ntop(is_v6 ? AF_INET6 : AF_INET, bytes.data(), buffer, sizeof buffer);
    return buffer;
}

std::optional<IpAddress> ParseIp(std::string_view text, bool keep_mapped) {
    const std::string copy(text);
    if (copy.size() != text.size() || copy.find('\0') != std::string::npos) return std::nullopt;
    IpAddress ip;
    if (inet_pton(AF_INET, copy.c_str(), ip.bytes.data()) == 1) return ip;
    if (inet_pton(AF_INET6, copy.c_str(), ip.bytes.data()) != 1) return std::nullopt;
    ip.is_v6 = true;
    static constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (!keep_mapped && std::equal(kMapped.begin(), kMapped.end(), ip.bytes.begin())) {
        IpAddress v4;
        std::copy(ip.bytes.begin() + 12, ip.bytes.end(), v4.bytes.begin());
        return v4;
    }
    return ip;
}

bool Cidr::Contains(const IpAddress& address) const {
    if (address.is_v6 != base.is_v6) return false;
    for (int bit = 0; bit < prefix; bit += 8) {
        const auto i = static_cast<size_t>(bit / 8);
        const int used = std::min(8, prefix - bit);
        const auto mask = static_cast<uint8_t>(0xff << (8 - used));
        if ((address.bytes[i] & mask) != (base.bytes[i] & mask)) return false;
    }
    return true;
}

std::string Cidr::ToString() const { return Cat(base.ToString(), '/', prefix); }

std::optional<Cidr> ParseCidr(std::string_view text) {
    const size_t slash = text.find('/');
    const auto ip = ParseIp(text.substr(0, slash), true);
    if (!ip) return std::nullopt;
    Cidr cidr{*ip, ip->is_v6 ? 128 : 32};
    if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        const auto prefix = ParseInt(digits);
        const bool plain = !digits.empty() && digits.size() <= 3 && digits.front() != '+' &&
                           digits.front() != '-' && (digits.size() == 1 || digits.front() != '0');
        if (!prefix || !plain || *prefix < 0 || *prefix > cidr.prefix) return std::nullopt;
        cidr.prefix = static_cast<int>(*prefix);
    }
    for (int bit = cidr.prefix; bit < (ip->is_v6 ? 128 : 32); ++bit) {
        const auto i = static_cast<size_t>(bit / 8);
        if ((cidr.base.bytes[i] >> (7 - bit % 8) & 1) != 0) return std::nullopt;
    }
    return cidr;
}

}  // namespace opensend::base
