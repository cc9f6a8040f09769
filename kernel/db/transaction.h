#pragma once

#include <memory>

#include "kernel/db/pool.h"

namespace opensend::db {

/// Changes that become durable together at Commit(), or not at all. Passed down by reference to the
/// stores that take part; never open across a network call.
class Transaction final : public Session {
public:
    Transaction(Pool& pool, Plane plane, const Scope& scope) : work_(pool.Begin(plane, scope)) {}

    Rows Execute(const Query& query, const Params& params) override {
        return work_->session().Execute(query, params);
    }
    int64_t Change(const Query& query, const Params& params) override {
        return work_->session().Change(query, params);
    }
    int64_t ChangeEach(const Query& query, std::span<const Params> each) override {
        return work_->session().ChangeEach(query, each);
    }
    void Commit() { work_->Commit(); }

private:
    std::unique_ptr<Pool::Work> work_;
};

/// A connection for reading, outside a transaction.
class Reader final : public Session {
public:
    Reader(Pool& pool, const Scope& scope, Plane plane = Plane::kDashboard)
        : lease_(pool.Read(plane, scope)) {}

    Rows Execute(const Query& query, const Params& params) override {
        return lease_->session().Execute(query, params);
    }
    int64_t Change(const Query& query, const Params& params) override {
        return lease_->session().Change(query, params);
    }
    int64_t ChangeEach(const Query& query, std::span<const Params> each) override {
        return lease_->session().ChangeEach(query, each);
    }

private:
    std::unique_ptr<Pool::Lease> lease_;
};

}  // namespace opensend::db
