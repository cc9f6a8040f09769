#pragma once

#include <memory>

#include "kernel/api/router.h"
#include "kernel/db/pool.h"

namespace opensend::logs {

/// Routes of REST 2.20.
class LogsApi {
public:
    explicit LogsApi(db::Pool& pool) : pool_(pool) {}
    void Mount(api::Router& router);

private:
    api::Answer List(const std::shared_ptr<api::Call>& call);
    api::Answer Get(const std::shared_ptr<api::Call>& call);

    db::Pool& pool_;
};

}  // namespace opensend::logs
