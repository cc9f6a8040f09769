#include "kernel/db/backend/sqlite_session.h"

#include <map>

#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/SQLite/Utility.h>
#include <Poco/Data/Session.h>
#include <Poco/Exception.h>
#include <sqlite3.h>

#include "kernel/base/text.h"

namespace opensend::db {
namespace {

constexpr std::string_view kUnavailableReason = "database_unavailable";
constexpr size_t kOpenSeconds = 5;

base::Error SqliteError(std::string_view name, int code, std::string_view message) {
    std::string detail = base::Cat(name, ": ", message, " [sqlite ", code, "]");
    if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
        code == SQLITE_CONSTRAINT_ROWID)
        return UniqueViolation(std::move(detail));
    switch (code & 0xff) {
        case SQLITE_FULL: return base::Unavailable("storage_full", detail);
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_NOMEM:
        case SQLITE_PROTOCOL:
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_INTERRUPT: return base::Unavailable(kUnavailableReason, detail);
        default: return BrokenStatement(std::move(detail));
    }
}

int BindOne(sqlite3_stmt* statement, int index, const Value& value) {
    const auto& storage = value.storage();
    if (const auto* integer = std::get_if<int64_t>(&storage))
        return sqlite3_bind_int64(statement, index, *integer);
    if (const auto* real = std::get_if<double>(&storage))
        return sqlite3_bind_double(statement, index, *real);
    // The parameters live until the statement is reset. A null pointer would bind NULL.
    if (const auto* text = std::get_if<std::string>(&storage))
        return sqlite3_bind_text64(
            statement, index, text->c_str(), text->size(), SQLITE_STATIC, SQLITE_UTF8
        );
    if (const auto* blob = std::get_if<Blob>(&storage))
        return sqlite3_bind_blob64(
            statement, index, blob->bytes.c_str(), blob->bytes.size(), SQLITE_STATIC
        );
    return sqlite3_bind_null(statement, index);
}

std::string ColumnBytes(sqlite3_stmt* statement, int column) {
    const void* bytes = sqlite3_column_blob(statement, column);
    const auto size = static_cast<size_t>(sqlite3_column_bytes(statement, column));
    return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
}

Value ColumnValue(sqlite3_stmt* statement, int column) {
    switch (sqlite3_column_type(statement, column)) {
        case SQLITE_INTEGER: return Value(int64_t{sqlite3_column_int64(statement, column)});
        case SQLITE_FLOAT: return Value(sqlite3_column_double(statement, column));
        case SQLITE_TEXT: return Value(ColumnBytes(statement, column));
        case SQLITE_BLOB: return Value(Blob{ColumnBytes(statement, column)});
        default: return Value();
    }
}

Row ReadRow(sqlite3_stmt* statement) {
    const int columns = sqlite3_column_count(statement);
    std::vector<Value> values;
    values.reserve(static_cast<size_t>(columns));
    for (int i = 0; i < columns; ++i) values.push_back(ColumnValue(statement, i));
    return Row(std::move(values));
}

}  // namespace

#if defined(OPENSEND_CRASH_POINTS)
/// Sees, while a statement is prepared, which tables and columns it reads.
class SqliteSession::TableWatch {
public:
    explicit TableWatch(sqlite3* handle) : handle_(handle) {
        sqlite3_set_authorizer(handle_, &TableWatch::Note, this);
    }
    ~TableWatch() { sqlite3_set_authorizer(handle_, nullptr, nullptr); }
    TableWatch(const TableWatch&) = delete;
    TableWatch& operator=(const TableWatch&) = delete;

    /// A table with an org_id of which the statement reads rows but never that column. Parents that
    /// only a foreign key looks up are not named by the statement.
    std::string TenantlessTable(std::string_view sql) const {
        for (const auto& [table, reads_tenant] : tables_) {
            if (reads_tenant || sql.find(table) == std::string_view::npos) continue;
            const int code = sqlite3_table_column_metadata(
                handle_, nullptr, table.c_str(), "org_id", nullptr, nullptr, nullptr, nullptr,
                nullptr
            );
            if (code == SQLITE_OK) return table;
        }
        return {};
    }

private:
    static int
    Note(void* self, int action, const char* table, const char* column, const char*, const char*) {
        if (action == SQLITE_READ && table != nullptr && column != nullptr) {
            bool& reads = static_cast<TableWatch*>(self)->tables_[table];
            reads = reads || std::string_view(column) == "org_id";
        }
        return SQLITE_OK;
    }

    sqlite3* handle_;
    std::map<std::string, bool> tables_;
};
#else
class SqliteSession::TableWatch {
public:
    explicit TableWatch(sqlite3*) {}
    std::string TenantlessTable(std::string_view) const { return {}; }
};
#endif

struct SqliteSession::Connection {
    explicit Connection(const std::string& path) : session("SQLite", path, kOpenSeconds) {}
    Poco::Data::Session session;
};

/// Binds, steps and resets one statement once.
class SqliteSession::Run {
public:
    Run(SqliteSession& owner, const Query& query, Prepared& prepared, const Params& params)
        : owner_(owner), query_(query), statement_(prepared.statement.get()) {
        OPENSEND_CHECK(
            params.size() == prepared.parameters, "a statement gets as many values as it names"
        );
        if (owner_.limit_.count() > 0)
            owner_.deadline_ = std::chrono::steady_clock::now() + owner_.limit_;
        for (size_t i = 0; i < params.size(); ++i) {
            const int code = BindOne(statement_, static_cast<int>(i) + 1, params[i]);
            if (code != SQLITE_OK) Fail();
        }
    }
    ~Run() {
        sqlite3_reset(statement_);
        sqlite3_clear_bindings(statement_);
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    /// True: there is a row.
    bool Step() {
        if (statement_ == nullptr) return false;  // nothing but white space
        const int code = sqlite3_step(statement_);
        if (code == SQLITE_ROW) return true;
        if (code != SQLITE_DONE) Fail();
        return false;
    }

private:
    [[noreturn]] void Fail() { owner_.Fail(query_.name, sqlite3_extended_errcode(owner_.handle_)); }

    SqliteSession& owner_;
    const Query& query_;
    sqlite3_stmt* statement_;
};

void SqliteSession::Finalize::operator()(sqlite3_stmt* statement) const {
    sqlite3_finalize(statement);
}

SqliteSession::SqliteSession(const std::string& path, SqliteRole role, base::Duration limit)
    : limit_(limit) {
    try {
        Poco::Data::SQLite::Connector::registerConnector();
        connection_ = std::make_unique<Connection>(path);
        handle_ = Poco::Data::SQLite::Utility::dbHandle(connection_->session);
    } catch (const Poco::Exception& error) {
        throw base::Unavailable(kUnavailableReason, error.displayText());
    }
    try {
        Configure(role);
    } catch (const base::Error& error) {
        throw base::Unavailable(kUnavailableReason, base::Cat(path, ": ", error.detail()));
    }
}

void SqliteSession::Configure(SqliteRole role) {
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, 5000);
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
    const Rows mode = Execute({"", "PRAGMA journal_mode = WAL"}, {});
    if (mode.size() != 1 || mode.front().Text(0) != "wal")
        throw base::Unavailable(kUnavailableReason, "the file system allows no write-ahead log");
    const bool writer = role == SqliteRole::kWriter;
    for (const char* pragma :
         {"PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON", "PRAGMA temp_store = MEMORY",
          "PRAGMA mmap_size = 134217728", "PRAGMA wal_autocheckpoint = 1000",
          "PRAGMA journal_size_limit = 67108864",
          writer ? "PRAGMA cache_size = -65536" : "PRAGMA cache_size = -16384",
          writer ? "PRAGMA query_only = OFF" : "PRAGMA query_only = ON"})
        Execute({"", pragma}, {});
    if (limit_.count() > 0) sqlite3_progress_handler(handle_, 20'000, &OutOfTime, this);
}

SqliteSession::~SqliteSession() {
    Rollback();
    // The handle closes only when no statement is left.
    once_ = {};
    prepared_.clear();
}

int SqliteSession::OutOfTime(void* session) {
    const auto* self = static_cast<SqliteSession*>(session);
    return std::chrono::steady_clock::now() > self->deadline_ ? 1 : 0;
}

void SqliteSession::Fail(std::string_view name, int code) {
    poisoned_ = in_work_;
    throw SqliteError(name, code, sqlite3_errmsg(handle_));
}

void SqliteSession::CheckUsable(std::string_view name) const {
    if (poisoned_) ThrowPoisoned(name);
}

SqliteSession::Prepared SqliteSession::Prepare(const Query& query, unsigned flags) {
    StatementText text = MakeStatementText(query.sql, Dialect::kSqlite);
    sqlite3_stmt* statement = nullptr;
    const char* tail = nullptr;
    TableWatch watch(handle_);
    const int code = sqlite3_prepare_v3(
        handle_, text.sql.c_str(), static_cast<int>(text.sql.size()) + 1, flags, &statement, &tail
    );
    if (code != SQLITE_OK) Fail(query.name, sqlite3_extended_errcode(handle_));
    Prepared prepared;
    prepared.text = std::string(query.sql);
    prepared.statement.reset(statement);
    prepared.parameters = text.parameters;
    prepared.tenantless = watch.TenantlessTable(text.sql);
    const std::string_view rest = base::Trim(tail);
    OPENSEND_CHECK(rest.empty() || rest == ";", "a query is one statement");
    return prepared;
}

void SqliteSession::Enter(const Scope& scope) { of_tenant_ = scope.kind() == Scope::Kind::kTenant; }

SqliteSession::Prepared& SqliteSession::Find(const Query& query) {
    Prepared& prepared = FindAny(query);
    if (of_tenant_ && !prepared.tenantless.empty()) {
        poisoned_ = in_work_;
        throw BrokenStatement(
            base::Cat(query.name, ": reads `", prepared.tenantless, "` without the tenant")
        );
    }
    return prepared;
}

SqliteSession::Prepared& SqliteSession::FindAny(const Query& query) {
    CheckUsable(query.name);
    if (query.name.empty()) {
        once_ = Prepare(query, 0);
        return once_;
    }
    const auto found = prepared_.find(query.name);
    if (found != prepared_.end() && found->second.text == query.sql) return found->second;
    Prepared fresh = Prepare(query, SQLITE_PREPARE_PERSISTENT);
    return prepared_.insert_or_assign(std::string(query.name), std::move(fresh)).first->second;
}

Rows SqliteSession::Execute(const Query& query, const Params& params) {
    Prepared& prepared = Find(query);
    Rows rows;
    try {
        RefuseNul(query, params);
        Run run(*this, query, prepared, params);
        while (run.Step()) rows.push_back(ReadRow(prepared.statement.get()));
    } catch (const base::Error&) {
        poisoned_ = in_work_;
        throw;
    }
    return rows;
}

int64_t SqliteSession::ChangeOnce(const Query& query, Prepared& prepared, const Params& params) {
    try {
        RefuseNul(query, params);
        Run run(*this, query, prepared, params);
        while (run.Step()) continue;
    } catch (const base::Error&) {
        poisoned_ = in_work_;
        throw;
    }
    // The count of the handle is that of the last change, whichever statement made it.
    const bool reads =
        prepared.statement == nullptr || sqlite3_stmt_readonly(prepared.statement.get()) != 0;
    return reads ? 0 : int64_t{sqlite3_changes64(handle_)};
}

int64_t SqliteSession::Change(const Query& query, const Params& params) {
    return ChangeOnce(query, Find(query), params);
}

int64_t SqliteSession::ChangeEach(const Query& query, std::span<const Params> each) {
    if (each.empty()) return 0;
    Prepared& prepared = Find(query);
    int64_t sum = 0;
    for (const Params& params : each) sum += ChangeOnce(query, prepared, params);
    return sum;
}

void SqliteSession::Control(const char* sql) {
    // The words of a transaction are kept under their own text: no query is called like that.
    Execute({sql, sql}, {});
}

void SqliteSession::Begin() {
    Control("BEGIN IMMEDIATE");
    in_work_ = true;
}

void SqliteSession::Commit() {
    CheckUsable("COMMIT");
    OPENSEND_CHECK(in_work_, "a commit ends a transaction");
    Control("COMMIT");
    in_work_ = false;
}

bool SqliteSession::Rollback() {
    poisoned_ = false;
    in_work_ = false;
    if (sqlite3_get_autocommit(handle_) != 0) return true;  // some failures end the transaction
    try {
        Control("ROLLBACK");
    } catch (const base::Error&) {
        return sqlite3_get_autocommit(handle_) != 0;
    }
    return true;
}

}  // namespace opensend::db
