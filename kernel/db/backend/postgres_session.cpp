#include "kernel/db/backend/postgres_session.h"

#include <poll.h>

#include <Poco/Any.h>
#include <Poco/Data/PostgreSQL/Connector.h>
#include <Poco/Data/PostgreSQL/PostgreSQLException.h>
#include <Poco/Data/PostgreSQL/SessionHandle.h>
#include <Poco/Data/Session.h>
#include <Poco/Exception.h>
#include <libpq-fe.h>

#include "kernel/base/text.h"

namespace opensend::db {
namespace {

constexpr size_t kConnectSeconds = 5;
constexpr size_t kPipelineRows = 256;
constexpr size_t kPipelineBytes = 1'000'000;

void IgnoreNotice(void*, const char*) {}

/// Waits until the socket can be read, or written when `writing`.
void WaitForSocket(PGconn* handle, bool writing) {
    pollfd entry = {PQsocket(handle), POLLIN, 0};
    if (writing) entry.events = POLLIN | POLLOUT;
    poll(&entry, 1, 1000);
}

bool HasInput(PGconn* handle) {
    pollfd entry = {PQsocket(handle), POLLIN, 0};
    return poll(&entry, 1, 0) > 0;
}

/// Poco's session forgets the handle of a connection that cannot be made, some 30 kB each time: the
/// attempt that fails is this one, which forgets nothing.
void CheckReachable(const std::string& connection_text) {
    const std::unique_ptr<PGconn, void (*)(PGconn*)> probe(
        PQconnectdb(connection_text.c_str()), &PQfinish
    );
    if (PQstatus(probe.get()) != CONNECTION_OK)
        throw base::Unavailable("database_unavailable", base::Trim(PQerrorMessage(probe.get())));
}

/// The role of a scope and whose rows it may see. A tenant's id is hexadecimal digits and dashes.
std::string RoleText(const Scope& scope, std::string_view set) {
    switch (scope.kind()) {
        case Scope::Kind::kOwner: return base::Cat(set, " ROLE NONE");
        case Scope::Kind::kAllTenants: return base::Cat(set, " ROLE opensend_jobs");
        case Scope::Kind::kTenant: break;
    }
    return base::Cat(set, " ROLE opensend_app; ", set, " app.org_id = '", scope.tenant(), "'");
}

bool IsGood(const PGresult* result) {
    switch (PQresultStatus(result)) {
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
        case PGRES_EMPTY_QUERY: return true;
        default: return false;
    }
}

}  // namespace

std::string PostgresConnectionText(std::string_view url) {
    char* message = nullptr;
    const std::string copy(url);
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
        PQconninfoParse(copy.c_str(), &message), &PQconninfoFree
    );
    PQfreemem(message);  // quotes the URL with its password
    if (!options)
        throw base::Unavailable("database_unavailable", "the database URL cannot be read");
    // A dead peer is noticed within a minute; the URL may say otherwise.
    std::string text =
        "connect_timeout=5 client_encoding=UTF8 keepalives_idle=30 keepalives_interval=10 "
        "keepalives_count=3 "
        "tcp_user_timeout=60000 application_name=opensend";
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
        if (option->val == nullptr || *option->val == '\0') continue;
        const std::string_view value = option->val;
        if (value.find_first_of(" \t\r\n\v\f") != std::string_view::npos)
            throw base::Unavailable(
                "database_unavailable", base::Cat(
                                            "`", option->keyword,
                                            "` of the database URL holds a blank, which the "
                                            "database connector cannot pass on: use another value"
                                        )
            );
        text += base::Cat(' ', option->keyword, '=');
        for (const char c : value) {
            if (c == '\\' || c == '\'') text += '\\';
            text += c;
        }
    }
    return text;
}

struct PostgresSession::Connection {
    explicit Connection(const std::string& text) : session("PostgreSQL", text, kConnectSeconds) {
        using Poco::Data::PostgreSQL::SessionHandle;
        handle = *Poco::AnyCast<SessionHandle*>(session.getProperty("handle"));
    }
    ~Connection() {
        // Poco's session frees the handle of a good connection only.
        if (PQstatus(handle) != CONNECTION_OK) left_over.reset(handle);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    std::unique_ptr<PGconn, void (*)(PGconn*)> left_over{nullptr, &PQfinish};  // outlives session
    Poco::Data::Session session;
    PGconn* handle = nullptr;
};

PostgresSession::PostgresSession(const std::string& connection_text, base::Duration limit) {
    CheckReachable(connection_text);
    try {
        Poco::Data::PostgreSQL::Connector::registerConnector();
        connection_ = std::make_unique<Connection>(connection_text);
        handle_ = connection_->handle;
    } catch (const Poco::Data::PostgreSQL::PostgreSQLException& error) {
        throw base::Unavailable("database_unavailable", base::Trim(error.message()));
    } catch (const Poco::Exception& error) {
        throw base::Unavailable("database_unavailable", error.className());
    }
    PQsetNoticeProcessor(handle_, &IgnoreNotice, nullptr);
    const auto limit_ms = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
    const std::string settings = base::Cat(
        "SET statement_timeout = ", limit_ms,
        ";"
        "SET synchronous_commit = on; SET standard_conforming_strings = on;"
        "SET bytea_output = hex; SET extra_float_digits = 1; SET TimeZone = 'UTC';"
        "SET client_min_messages = warning; SET default_transaction_read_only = on;"
        "SET default_transaction_isolation = 'read committed'"
    );
    Control(settings.c_str());
}

PostgresSession::~PostgresSession() = default;

void PostgresSession::Fail(std::string_view name, const pg_result* result) {
    poisoned_ = in_work_;
    bool lost = false;
    base::Error error = PostgresError(name, result, PQerrorMessage(handle_), lost);
    lost_ = lost_ || lost || PQstatus(handle_) != CONNECTION_OK;
    throw error;
}

PostgresResult PostgresSession::Check(std::string_view name, pg_result* result) {
    PostgresResult owned(result);
    if (!IsGood(result)) Fail(name, result);
    return owned;
}

PostgresResult PostgresSession::Control(const char* sql) {
    return Check(sql, PQexec(handle_, sql));
}

PostgresSession::Prepared PostgresSession::Prepare(const Query& query, std::string name) {
    Prepared prepared;
    const StatementText text = MakeStatementText(query.sql, Dialect::kPostgres);
    Check(query.name, PQprepare(handle_, name.c_str(), text.sql.c_str(), 0, nullptr));
    const PostgresResult description = Check(query.name, PQdescribePrepared(handle_, name.c_str()));
    prepared.types = PostgresTypes::Of(*description);
    prepared.text = std::string(query.sql);
    prepared.name = std::move(name);
    return prepared;
}

const PostgresSession::Prepared& PostgresSession::Find(const Query& query) {
    if (poisoned_) ThrowPoisoned(query.name);
    if (query.name.empty()) {
        once_ = Prepare(query, "");
        return once_;
    }
    const auto found = prepared_.find(query.name);
    if (found != prepared_.end()) {
        if (found->second.text == query.sql) return found->second;
        Control(base::Cat("DEALLOCATE ", found->second.name).c_str());
        prepared_.erase(found);
    }
    // Names at the server are cut at 63 characters; these are short.
    Prepared fresh = Prepare(query, base::Cat('q', ++names_));
    return prepared_.insert_or_assign(std::string(query.name), std::move(fresh)).first->second;
}

PostgresResult PostgresSession::Run(const Query& query, const Params& params) {
    try {
        const Prepared& prepared = Find(query);
        const PostgresParams bound(query, prepared.types, params);
        return Check(
            query.name, PQexecPrepared(
                            handle_, prepared.name.c_str(), bound.count(), bound.values(),
                            bound.lengths(), bound.formats(), prepared.types.binary ? 1 : 0
                        )
        );
    } catch (const base::Error&) {
        poisoned_ = in_work_;
        throw;
    }
}

Rows PostgresSession::Execute(const Query& query, const Params& params) {
    return ReadRows(*Run(query, params));
}

int64_t PostgresSession::Change(const Query& query, const Params& params) {
    return ChangedRows(*Run(query, params));
}

/// libpq's pipeline mode for the life of the object: statements go out without waiting for answers.
class PostgresSession::Pipeline {
public:
    explicit Pipeline(PostgresSession& owner) : owner_(owner), handle_(owner.handle_) {
        if (PQenterPipelineMode(handle_) != 1) owner_.Fail("pipeline", nullptr);
        // A blocking send could wait for a server that waits for us to read its answers.
        PQsetnonblocking(handle_, 1);
    }
    ~Pipeline() {
        if (PQexitPipelineMode(handle_) != 1) owner_.lost_ = true;
        PQsetnonblocking(handle_, 0);
    }
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    /// Sends all of `each`, reads all answers and throws the first failure.
    int64_t Run(const Query& query, const Prepared& prepared, std::span<const Params> each) {
        size_t unsent = 0;
        size_t sent = 0;
        std::optional<base::Error> refused;
        for (const Params& params : each) {
            try {
                const PostgresParams bound(query, prepared.types, params);
                Send(query, prepared, bound);
                unsent += bound.bytes();
            } catch (const base::Error& error) {
                refused = error;
                break;
            }
            ++sent;
            if (unsent >= kPipelineBytes) {
                Flush(query);
                unsent = 0;
            }
        }
        if (PQpipelineSync(handle_) != 1) owner_.Fail(query.name, nullptr);
        Flush(query);
        const int64_t sum = ReadAnswers(query, sent);
        if (refused) throw *refused;
        return sum;
    }

private:
    void Send(const Query& query, const Prepared& prepared, const PostgresParams& bound) {
        const int queued = PQsendQueryPrepared(
            handle_, prepared.name.c_str(), bound.count(), bound.values(), bound.lengths(),
            bound.formats(), 0
        );
        if (queued != 1) owner_.Fail(query.name, nullptr);
    }

    void Flush(const Query& query) {
        int state = PQflush(handle_);
        while (state == 1) {
            WaitForSocket(handle_, true);
            if (PQconsumeInput(handle_) != 1) owner_.Fail(query.name, nullptr);
            state = PQflush(handle_);
        }
        if (state != 0) owner_.Fail(query.name, nullptr);
    }

    int64_t ReadAnswers(const Query& query, size_t statements) {
        int64_t sum = 0;
        PostgresResult failed;
        for (size_t i = 0; i < statements; ++i) {
            PostgresResult result(PQgetResult(handle_));
            if (!result) owner_.Fail(query.name, nullptr);
            if (IsGood(result.get())) {
                sum += ChangedRows(*result);
            } else if (!failed) {
                failed = std::move(result);
            }
            // Nothing but the end of this statement's results comes next.
            if (PQstatus(handle_) == CONNECTION_OK) PostgresResult(PQgetResult(handle_));
        }
        PostgresResult sync;
        if (PQstatus(handle_) == CONNECTION_OK) sync.reset(PQgetResult(handle_));
        if (failed) owner_.Fail(query.name, failed.get());
        if (PQresultStatus(sync.get()) != PGRES_PIPELINE_SYNC) owner_.Fail(query.name, nullptr);
        return sum;
    }

    PostgresSession& owner_;
    PGconn* handle_;
};

int64_t PostgresSession::ChangeEach(const Query& query, std::span<const Params> each) {
    if (each.size() <= 1) return each.empty() ? 0 : Change(query, each.front());
    try {
        const Prepared& prepared = Find(query);
        int64_t sum = 0;
        Pipeline pipeline(*this);
        while (!each.empty()) {
            const size_t count = std::min(each.size(), kPipelineRows);
            sum += pipeline.Run(query, prepared, each.first(count));
            each = each.subspan(count);
        }
        return sum;
    } catch (const base::Error&) {
        poisoned_ = in_work_;
        throw;
    }
}

void PostgresSession::Enter(const Scope& scope) {
    if (entered_ == scope) return;
    Control(RoleText(scope, "SET").c_str());
    entered_ = scope;
}

void PostgresSession::Begin(const Scope* scope) {
    try {
        // One round trip: the statements go together.
        std::string text = "BEGIN READ WRITE";
        if (scope != nullptr) text += base::Cat("; ", RoleText(*scope, "SET LOCAL"));
        Control(text.c_str());
    } catch (const base::Error& error) {
        // Whatever it is (a standby that only reads, for one), no statement of ours is to blame.
        throw base::Unavailable("database_unavailable", error.detail());
    }
    in_work_ = true;
}

void PostgresSession::Commit() {
    if (poisoned_) ThrowPoisoned("COMMIT");
    OPENSEND_CHECK(in_work_, "a commit ends a transaction");
    const PostgresResult result = Control("COMMIT");
    // The server answers ROLLBACK, without an error, when the transaction had failed.
    if (std::string_view(PQcmdStatus(result.get())) != "COMMIT") {
        poisoned_ = true;
        ThrowPoisoned("COMMIT");
    }
    in_work_ = false;
}

void PostgresSession::Rollback() {
    poisoned_ = false;
    in_work_ = false;
    const auto status = PQtransactionStatus(handle_);
    if (status == PQTRANS_IDLE) return;
    if (status != PQTRANS_UNKNOWN) PostgresResult(PQexec(handle_, "ROLLBACK"));
    if (PQtransactionStatus(handle_) != PQTRANS_IDLE) lost_ = true;
}

bool PostgresSession::IsAlive() {
    // An idle server sends nothing but its farewell, or news that libpq takes in.
    while (!lost_ && HasInput(handle_)) {
        if (PQconsumeInput(handle_) != 1 || PQstatus(handle_) != CONNECTION_OK) lost_ = true;
    }
    return !lost_ && PQstatus(handle_) == CONNECTION_OK &&
           PQtransactionStatus(handle_) == PQTRANS_IDLE;
}

}  // namespace opensend::db
