#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel/base/cidr.h"
#include "kernel/base/guarded.h"

namespace opensend::http {

/// Counts open connections in all and per peer address (PROC-13). Thread-safe.
class ConnectionLimits {
public:
    ConnectionLimits(size_t max, size_t max_per_address, std::vector<base::Cidr> uncapped)
        : max_(max), max_per_address_(max_per_address), uncapped_(std::move(uncapped)) {}

    /// False: over a cap, nothing was counted.
    bool Admit(const base::IpAddress& peer) {
        const bool counted = IsCounted(peer);
        return open_.With([&](Open& open) {
            if (max_ != 0 && open.all >= max_) return false;
            if (counted) {
                size_t& count = open.by_address[peer];
                if (count >= max_per_address_) return false;
                ++count;
            }
            ++open.all;
            return true;
        });
    }
    void Release(const base::IpAddress& peer) {
        const bool counted = IsCounted(peer);
        open_.With([&](Open& open) {
            --open.all;
            if (!counted) return;
            const auto found = open.by_address.find(peer);
            if (--found->second == 0) open.by_address.erase(found);
        });
    }

private:
    struct AddressHash {
        size_t operator()(const base::IpAddress& address) const {
            char bytes[17];
            std::memcpy(bytes, address.bytes.data(), 16);
            bytes[16] = address.is_v6 ? '6' : '4';
            return std::hash<std::string_view>()(std::string_view(bytes, sizeof bytes));
        }
    };
    struct Open {
        size_t all = 0;
        std::unordered_map<base::IpAddress, size_t, AddressHash> by_address;
    };
    bool IsCounted(const base::IpAddress& peer) const {
        if (max_per_address_ == 0) return false;
        for (const auto& range : uncapped_) {
            if (range.Contains(peer)) return false;
        }
        return true;
    }

    const size_t max_;
    const size_t max_per_address_;
    const std::vector<base::Cidr> uncapped_;
    base::Guarded<Open> open_;
};

}  // namespace opensend::http
