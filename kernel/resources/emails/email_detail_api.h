#pragma once

#include <functional>
#include <memory>

#include "kernel/access/idempotency.h"
#include "kernel/api/router.h"
#include "kernel/base/uuid.h"
#include "kernel/db/pool.h"

namespace opensend::emails {

/// What can be asked and done about one accepted message (REST 2.1.5, 2.1.6).
class EmailDetailApi {
public:
    struct Deps {
        db::Pool& pool;
        access::Idempotency& idempotency;
        base::UuidSource& ids;
        base::Duration max_age;  // how long mail is tried
        std::function<void()> wake_workers, wake_events;
    };
    explicit EmailDetailApi(Deps deps) : deps_(std::move(deps)) {}
    void Mount(api::Router& router);

private:
    api::Answer Update(const std::shared_ptr<api::Call>& call);
    api::Answer Cancel(const std::shared_ptr<api::Call>& call);
    api::Answer Events(const std::shared_ptr<api::Call>& call);
    api::Answer Explain(const std::shared_ptr<api::Call>& call);

    Deps deps_;
};

}  // namespace opensend::emails
