#include <filesystem>
#include <system_error>

#include <stdlib.h>

#include "kernel/base/text.h"
#include "kernel/db/backend/backend.h"
#include "kernel/db/backend/shelf.h"
#include "kernel/db/backend/sqlite_session.h"
#include "kernel/db/backend/write_gate.h"

namespace opensend::db {
namespace {

/// The folder of a database "in memory": a file, since only files have a write-ahead log that lets
/// readers and the writer work at the same time. Removed with the pool.
class ScratchFolder {
public:
    ScratchFolder() = default;
    ~ScratchFolder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;

    std::string MakeFileName() {
        std::string pattern = std::filesystem::temp_directory_path() / "opensend-db-";
        pattern.append(6, 'X');  // mkdtemp fills them in
        if (mkdtemp(pattern.data()) == nullptr)
            throw base::Unavailable("database_unavailable", "no folder for a scratch database");
        path_ = pattern;
        return pattern + "/scratch.db";
    }

private:
    std::string path_;
};

class SqlitePool final : public Pool {
public:
    explicit SqlitePool(PoolOptions options)
        : wait_(options.statement_timeout),
          path_(FileName(options.url.Reveal())),
          writer_(OpenWriter()),
          readers_(options.readers, [path = path_, limit = options.statement_timeout] {
              return std::make_unique<SqliteSession>(path, SqliteRole::kReader, limit);
          }) {}

    Dialect dialect() const override { return Dialect::kSqlite; }
    std::unique_ptr<Lease> Read(Plane plane, const Scope& scope) override;
    std::unique_ptr<Work> Begin(Plane plane, const Scope& scope) override;

private:
    class ReadLease;
    class WriteWork;

    std::unique_ptr<SqliteSession> OpenWriter() const {
        return std::make_unique<SqliteSession>(path_, SqliteRole::kWriter, base::Duration(0));
    }
    std::string FileName(std::string_view url) {
        std::string path(url.substr(std::string_view("sqlite:").size()));
        if (path == ":memory:") return scratch_.MakeFileName();
        // "sqlite:///var/lib/x.db" is the same file as "sqlite:/var/lib/x.db".
        if (path.starts_with("///")) path.erase(0, 2);
        const auto folder = std::filesystem::path(path).parent_path();
        std::error_code error;
        if (path.empty() || (!folder.empty() && !std::filesystem::is_directory(folder, error)))
            throw base::Unavailable(
                "database_unavailable",
                base::Cat("the folder of the database file does not exist: ", path)
            );
        return path;
    }

    const base::Duration wait_;
    ScratchFolder scratch_;
    const std::string path_;
    WriteGate gate_;
    std::unique_ptr<SqliteSession> writer_;  // used by who is through gate_
    Shelf<SqliteSession> readers_;
};

class SqlitePool::ReadLease final : public Lease {
public:
    ReadLease(SqlitePool& pool, const Scope& scope)
        : pool_(pool), session_(pool.readers_.Take(pool.wait_)) {
        session_->Enter(scope);
    }
    ~ReadLease() override { pool_.readers_.Give(std::move(session_)); }
    Session& session() override { return *session_; }

private:
    SqlitePool& pool_;
    std::unique_ptr<SqliteSession> session_;
};

class SqlitePool::WriteWork final : public Work {
public:
    /// The caller is through the gate, which this leaves with the commit, or in the end without.
    explicit WriteWork(SqlitePool& pool) : pool_(pool) {}
    ~WriteWork() override {
        if (committed_) return;
        if (pool_.writer_ && !pool_.writer_->Rollback()) pool_.writer_.reset();
        pool_.gate_.Leave();
    }
    Session& session() override {
        OPENSEND_CHECK(!committed_, "no statement follows the commit");
        return *pool_.writer_;
    }
    void Commit() override {
        OPENSEND_CHECK(!committed_, "a transaction commits once");
        pool_.writer_->Commit();
        committed_ = true;
        // Others go on, also the same thread with another transaction.
        pool_.gate_.Leave();
    }

private:
    SqlitePool& pool_;
    bool committed_ = false;
};

std::unique_ptr<Pool::Lease> SqlitePool::Read(Plane, const Scope& scope) {
    return std::make_unique<ReadLease>(*this, scope);
}

std::unique_ptr<Pool::Work> SqlitePool::Begin(Plane plane, const Scope& scope) {
    if (!gate_.Enter(plane, wait_))
        throw base::Unavailable("database_unavailable", "the writer is busy");
    auto work = std::make_unique<WriteWork>(*this);
    if (!writer_) writer_ = OpenWriter();
    writer_->Enter(scope);
    writer_->Begin();
    return work;
}

}  // namespace

std::unique_ptr<Pool> OpenSqlitePool(PoolOptions options) {
    return std::make_unique<SqlitePool>(std::move(options));
}

}  // namespace opensend::db
