#pragma once

#include <memory>
#include <string>

#include "kernel/db/pool.h"

namespace opensend::test {

/// A fresh database that is gone with the object: a file in a folder of its own, or a database of
/// the server that OPENSEND_TEST_POSTGRES names (contrib/ci/with-postgres sets it; without it the
/// constructor throws, so the test fails).
class TempDb {
public:
    explicit TempDb(db::Dialect dialect);
    ~TempDb();
    TempDb(const TempDb&) = delete;
    TempDb& operator=(const TempDb&) = delete;

    std::string url() const { return url_; }
    /// Options with this URL and short waits; change them before Pool::Open.
    db::PoolOptions options() const;
    std::unique_ptr<db::Pool> Open() const { return db::Pool::Open(options()); }
    /// Runs a statement on a connection of its own, as the server's owner. PostgreSQL only; returns
    /// the first field.
    std::string Administer(const std::string& sql) const;

private:
    db::Dialect dialect_;
    std::string folder_;
    std::string name_;  // of the database
    std::string url_;
};

/// For INSTANTIATE_TEST_SUITE_P names.
std::string DialectName(db::Dialect dialect);

}  // namespace opensend::test
