#pragma once

#include <string>
#include <utility>

#include <opensend/plugin.h>

#include "kernel/model/kv_store.h"

namespace opensend::plugin {

/// opensend.host.kv of one instance: its own space of the store, within the quota of its grant.
class KvService {
public:
    KvService(model::KvStore& store, std::string space, uint64_t quota)
        : store_(store), space_(std::move(space)), quota_(quota) {}

    osp_status Get(
        osp_str key, void (*use)(void*, osp_bytes, uint64_t version) noexcept, void* ctx
    );
    osp_status Put(osp_str key, osp_bytes value, uint64_t expected, uint64_t ttl_ns);
    osp_status Delete(osp_str key, uint64_t expected);

private:
    model::KvStore& store_;
    const std::string space_;
    const uint64_t quota_;
};

}  // namespace opensend::plugin
