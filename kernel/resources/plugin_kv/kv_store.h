#pragma once

#include "kernel/base/clock.h"
#include "kernel/db/pool.h"
#include "kernel/model/kv_store.h"

namespace opensend::plugin_kv {

/// The values of plugins in the database.
class DbKvStore final : public model::KvStore {
public:
    DbKvStore(db::Pool& pool, const base::Clock& clock) : pool_(pool), clock_(clock) {}

    std::optional<model::KvEntry> Get(std::string_view space, std::string_view key) override;
    model::KvVerdict Put(
        std::string_view space,
        std::string_view key,
        std::string_view value,
        uint64_t expected,
        std::chrono::nanoseconds ttl,
        uint64_t quota
    ) override;
    model::KvVerdict Delete(std::string_view space, std::string_view key, uint64_t expected)
        override;

private:
    db::Pool& pool_;
    const base::Clock& clock_;
};

}  // namespace opensend::plugin_kv
