#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace opensend::model {

struct KvEntry {
    std::string value;
    uint64_t version = 0;
};
enum class KvVerdict { kDone = 1, kConflict, kNotFound, kOverQuota };

/// Small durable values in spaces that know nothing of each other. Thread-safe; may block on the
/// database and throws base::Error when that cannot answer.
class KvStore {
public:
    virtual ~KvStore() = default;
    virtual std::optional<KvEntry> Get(std::string_view space, std::string_view key) = 0;
    /// Stores when the version that stands there is `expected`; 0: none stands there. `ttl` zero:
    /// for ever. `quota`: bytes of keys and values that the space may hold.
    virtual KvVerdict Put(
        std::string_view space,
        std::string_view key,
        std::string_view value,
        uint64_t expected,
        std::chrono::nanoseconds ttl,
        uint64_t quota
    ) = 0;
    virtual KvVerdict Delete(std::string_view space, std::string_view key, uint64_t expected) = 0;
};

}  // namespace opensend::model
