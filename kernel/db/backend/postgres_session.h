#pragma once

#include <memory>
#include <string>

#include "kernel/db/backend/postgres_result.h"

struct pg_conn;

namespace opensend::db {

/// What Poco's connector takes, made of a postgres:// URL. Throws kUnavailable when the URL is none
/// or holds a blank, which the connector cannot pass on.
std::string PostgresConnectionText(std::string_view url);

/// A connection of Poco::Data::PostgreSQL whose statements run on the handle below it. Outside a
/// transaction it only reads.
class PostgresSession final : public Session {
public:
    /// Throws kUnavailable without anything secret in it.
    PostgresSession(const std::string& connection_text, base::Duration limit);
    ~PostgresSession() override;

    Rows Execute(const Query& query, const Params& params) override;
    int64_t Change(const Query& query, const Params& params) override;
    int64_t ChangeEach(const Query& query, std::span<const Params> each) override;

    /// For reads until the next one; only once the schema knows the roles.
    void Enter(const Scope& scope);
    /// `scope` holds for the transaction; null: the login's own rights.
    void Begin(const Scope* scope);
    void Commit();
    /// Nothing happens when no transaction is open. Never throws.
    void Rollback();
    /// False: use another one. Sees a server that went away while nobody asked it anything.
    bool IsAlive();

private:
    struct Connection;
    struct Prepared {
        std::string text;  // as the query has it
        std::string name;  // at the server
        PostgresTypes types;
    };
    class Pipeline;

    Prepared Prepare(const Query& query, std::string name);
    const Prepared& Find(const Query& query);
    PostgresResult Run(const Query& query, const Params& params);
    PostgresResult Control(const char* sql);
    /// Returns the result when it is a good one.
    PostgresResult Check(std::string_view name, pg_result* result);
    [[noreturn]] void Fail(std::string_view name, const pg_result* result);

    std::unique_ptr<Connection> connection_;
    pg_conn* handle_ = nullptr;  // belongs to connection_
    ByName<Prepared> prepared_;
    Prepared once_;  // of a query without a name
    int names_ = 0;
    Scope entered_ = Scope::Owner();
    bool in_work_ = false;
    bool poisoned_ = false;
    bool lost_ = false;
};

}  // namespace opensend::db
