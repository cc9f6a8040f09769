#include "kernel/plugin/services/kv_service.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include "kernel/plugin/vitals.h"

namespace opensend::plugin {
namespace {

constexpr size_t kMaxKvKey = 256;
constexpr uint64_t kMaxVersion = uint64_t{1} << 62;
// A hundred years: what is longer than the clock can count is for ever long enough.
constexpr uint64_t kMaxTtlNs = 100ull * 365 * 24 * 3600 * 1'000'000'000;

bool IsKey(osp_str key) { return key.ptr != nullptr && key.len > 0 && key.len <= kMaxKvKey; }

osp_status StatusOf(model::KvVerdict verdict) {
    switch (verdict) {
        case model::KvVerdict::kDone: return OSP_OK;
        case model::KvVerdict::kConflict: return OSP_E_CONFLICT;
        case model::KvVerdict::kNotFound: return OSP_E_NOTFOUND;
        case model::KvVerdict::kOverQuota: return OSP_E_TOOBIG;
    }
    return OSP_E_INTERNAL;
}

}  // namespace

osp_status KvService::Get(
    osp_str key, void (*use)(void*, osp_bytes, uint64_t version) noexcept, void* ctx
) {
    if (!IsKey(key) || use == nullptr) return OSP_E_INVALID;
    std::optional<model::KvEntry> entry;
    {
        const HostTime waiting;
        entry = store_.Get(space_, {key.ptr, key.len});
    }
    if (!entry) return OSP_E_NOTFOUND;
    const auto* bytes = reinterpret_cast<const uint8_t*>(entry->value.data());
    use(ctx, {bytes, entry->value.size()}, entry->version);
    return OSP_OK;
}

osp_status KvService::Put(osp_str key, osp_bytes value, uint64_t expected, uint64_t ttl_ns) {
    if (!IsKey(key) || (value.ptr == nullptr && value.len > 0)) return OSP_E_INVALID;
    if (value.len > quota_) return OSP_E_TOOBIG;
    if (expected > kMaxVersion) return OSP_E_CONFLICT;
    const std::string_view bytes(
        value.len == 0 ? "" : reinterpret_cast<const char*>(value.ptr), value.len
    );
    const std::chrono::nanoseconds ttl(static_cast<int64_t>(std::min(ttl_ns, kMaxTtlNs)));
    const HostTime waiting;
    return StatusOf(store_.Put(space_, {key.ptr, key.len}, bytes, expected, ttl, quota_));
}

osp_status KvService::Delete(osp_str key, uint64_t expected) {
    if (!IsKey(key)) return OSP_E_INVALID;
    if (expected > kMaxVersion) return OSP_E_CONFLICT;
    const HostTime waiting;
    return StatusOf(store_.Delete(space_, {key.ptr, key.len}, expected));
}

}  // namespace opensend::plugin
