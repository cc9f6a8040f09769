#pragma once

#include <memory>
#include <string>

#include "kernel/base/clock.h"
#include "kernel/base/secret.h"
#include "kernel/db/scope.h"
#include "kernel/db/session.h"

namespace opensend::db {

/// Which work a connection serves (PROC-05). On SQLite: priority at the one writer, in this order.
enum class Plane { kAccept = 1, kDeliver, kEvents, kDashboard };

enum class Dialect { kSqlite = 1, kPostgres };

struct PoolOptions {
    /// "sqlite:<path>", "postgres://…" or "postgresql://…"; a password may be inside, without
    /// blanks. "sqlite::memory:" is a file in the temporary folder that is removed with the pool.
    base::Secret url;
    int accept = 8, deliver = 8, events = 4, dashboard = 4;  // PostgreSQL connections per plane
    int readers = 8;                                         // SQLite reader connections
    base::Duration statement_timeout{10'000'000};
    base::Duration wait{30'000'000};  // how long Open waits for PostgreSQL (PROC-20)
};

/// The database. Thread-safe. Readers never wait for the writer.
class Pool {
public:
    /// Opens the database. Throws base::Error kUnavailable when it cannot be had within `wait`.
    static std::unique_ptr<Pool> Open(PoolOptions options);
    virtual ~Pool() = default;

    virtual Dialect dialect() const = 0;

    /// A connection taken from the pool; goes back at the end of the handle's life.
    class Lease {
    public:
        virtual ~Lease() = default;
        virtual Session& session() = 0;
    };
    /// For reads outside a transaction; a change is refused. Waits until one is free, at most the
    /// statement timeout, then throws kUnavailable.
    virtual std::unique_ptr<Lease> Read(Plane plane, const Scope& scope) = 0;

    /// One open transaction (BEGIN IMMEDIATE on SQLite). See Transaction.
    class Work {
    public:
        virtual ~Work() = default;  // rolls back unless committed
        virtual Session& session() = 0;
        /// Durable on return (WAL + synchronous=FULL; synchronous_commit=on). Throws when it
        /// failed; a transaction in which a statement failed refuses further statements and to
        /// commit. After the commit the session must not be asked for.
        virtual void Commit() = 0;
    };
    virtual std::unique_ptr<Work> Begin(Plane plane, const Scope& scope) = 0;
    /// The schema now has what scopes need; they take effect (see guards.h).
    virtual void NoteGuards() {}
};

}  // namespace opensend::db
