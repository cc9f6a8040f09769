#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "kernel/db/backend/backend.h"

struct sqlite3;
struct sqlite3_stmt;

namespace opensend::db {

enum class SqliteRole { kWriter = 1, kReader };

/// A connection of Poco::Data::SQLite whose statements run on the handle below it. Every statement
/// is reset when its call ends, so no read transaction stays open.
class SqliteSession final : public Session {
public:
    /// `limit` bounds one statement; zero: no bound.
    SqliteSession(const std::string& path, SqliteRole role, base::Duration limit);
    ~SqliteSession() override;

    Rows Execute(const Query& query, const Params& params) override;
    int64_t Change(const Query& query, const Params& params) override;
    int64_t ChangeEach(const Query& query, std::span<const Params> each) override;

    /// Whose rows the next statements may touch. Checked in test builds only.
    void Enter(const Scope& scope);
    void Begin();
    void Commit();
    /// Nothing happens when no transaction is open. Never throws; false: the transaction is still
    /// open and ends with the connection.
    bool Rollback();

private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    struct Prepared {
        std::string text;  // as the query has it
        std::unique_ptr<sqlite3_stmt, Finalize> statement;
        size_t parameters = 0;
        std::string tenantless;  // a tenants' table it reads without asking whose rows
    };
    struct Connection;
    class Run;
    class TableWatch;

    void Configure(SqliteRole role);
    Prepared Prepare(const Query& query, unsigned flags);
    /// Refuses what the scope does not allow.
    Prepared& Find(const Query& query);
    Prepared& FindAny(const Query& query);
    void Control(const char* sql);
    int64_t ChangeOnce(const Query& query, Prepared& prepared, const Params& params);
    static int OutOfTime(void* session);
    [[noreturn]] void Fail(std::string_view name, int code);
    void CheckUsable(std::string_view name) const;

    std::unique_ptr<Connection> connection_;
    sqlite3* handle_ = nullptr;  // belongs to connection_
    base::Duration limit_;
    std::chrono::steady_clock::time_point deadline_;
    ByName<Prepared> prepared_;
    Prepared once_;  // of a query without a name
    bool of_tenant_ = false;
    bool in_work_ = false;
    bool poisoned_ = false;
};

}  // namespace opensend::db
