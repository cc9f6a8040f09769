#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "kernel/base/error.h"
#include "kernel/db/transaction.h"
#include "tests/support/temp_db.h"

namespace opensend::db {

/// A fresh database with a table, for each of the two kinds.
class OnBoth : public testing::TestWithParam<Dialect> {
protected:
    OnBoth() : db_(GetParam()), pool_(db_.Open()) {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        tx.Execute(
            {"",
             "CREATE TABLE items (id TEXT NOT NULL PRIMARY KEY, number BIGINT, body {blob}, "
             "note TEXT, ratio DOUBLE PRECISION)"},
            {}
        );
        tx.Commit();
    }
    bool postgres() const { return GetParam() == Dialect::kPostgres; }

    void Insert(const std::string& id, int64_t number = 0) {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        InsertIn(tx, id, number);
        tx.Commit();
    }
    static void InsertIn(Session& session, const std::string& id, int64_t number = 0) {
        session.Change(
            {"items.insert", "INSERT INTO items (id, number) VALUES ($1, $2)"}, {id, number}
        );
    }
    int64_t CountItems() {
        return Reader(*pool_, Scope::AllTenants())
            .First({"items.count", "SELECT COUNT(*) FROM items"}, {})
            ->Int(0);
    }

    test::TempDb db_;
    std::unique_ptr<Pool> pool_;
};

template <class F>
base::ErrorCode CodeOf(F&& function) {
    try {
        function();
    } catch (const base::Error& error) {
        return error.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return base::ErrorCode::kApplication;
}

inline std::string NameOfParam(const testing::TestParamInfo<Dialect>& info) {
    return test::DialectName(info.param);
}

}  // namespace opensend::db

#define OPENSEND_ON_BOTH(suite)                                                        \
    INSTANTIATE_TEST_SUITE_P(                                                          \
        Db, suite, testing::Values(Dialect::kSqlite, Dialect::kPostgres), &NameOfParam \
    )
