#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernel/access/idempotency.h"
#include "kernel/api/router.h"
#include "kernel/db/pool.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/suppressions/suppression_csv.h"
#include "kernel/resources/suppressions/suppression_store.h"

namespace opensend::suppressions {

/// Routes of REST 2.15.
class SuppressionsApi {
public:
    struct Deps {
        db::Pool& pool;
        access::Idempotency& idempotency;
        base::UuidSource& ids;
        std::function<void()> wake_events;
    };
    explicit SuppressionsApi(Deps deps) : deps_(std::move(deps)) {}
    void Mount(api::Router& router);

    static constexpr int64_t kMaxExport = 100'000;

private:
    using CallPtr = std::shared_ptr<api::Call>;
    api::Answer Create(const CallPtr& call);
    api::Answer List(const CallPtr& call);
    api::Answer Get(const CallPtr& call);
    api::Answer Delete(const CallPtr& call);
    api::Answer BatchAdd(const CallPtr& call);
    api::Answer BatchRemove(const CallPtr& call);
    api::Answer Import(const CallPtr& call);
    api::Answer Export(const CallPtr& call);

    /// The entry that the path names by id or address.
    std::optional<Suppression> Named(db::Session& session, const api::Call& call) const;
    /// Adds unless the address is on the list; true when new, and then with event and audit entry.
    bool AddOne(db::Session& tx, const api::Call& call, Suppression& entry);
    void RemoveOne(db::Session& tx, const api::Call& call, const Suppression& entry);
    access::StoredAnswer Store(
        db::Transaction& tx, const api::Call& call, const std::vector<CsvEntry>& entries
    );

    Deps deps_;
};

}  // namespace opensend::suppressions
