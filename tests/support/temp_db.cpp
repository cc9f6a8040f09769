#include "tests/support/temp_db.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include <libpq-fe.h>
#include <stdlib.h>

#include "kernel/base/text.h"

namespace opensend::test {
namespace {

std::string ServerUrl() {
    const char* url = getenv("OPENSEND_TEST_POSTGRES");
    if (url == nullptr || *url == '\0')
        throw std::runtime_error(
            "OPENSEND_TEST_POSTGRES is not set: run the tests with contrib/ci/with-postgres ctest …"
        );
    return url;
}

/// First field of the result, "" when there is none.
std::string RunOnServer(const std::string& url, const std::string& sql) {
    const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(
        PQconnectdb(url.c_str()), &PQfinish
    );
    if (PQstatus(connection.get()) != CONNECTION_OK)
        throw std::runtime_error(base::Cat("test server: ", PQerrorMessage(connection.get())));
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
        PQexec(connection.get(), sql.c_str()), &PQclear
    );
    const auto status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        throw std::runtime_error(base::Cat(sql, ": ", PQerrorMessage(connection.get())));
    if (PQntuples(result.get()) == 0) return "";
    return PQgetvalue(result.get(), 0, 0);
}

/// The server's URL with another database; the path is the part after the host.
std::string WithDatabase(const std::string& url, const std::string& name) {
    const size_t host = url.find("://") + 3;
    const size_t path = url.find('/', host);
    const size_t query = url.find('?', host);
    const std::string tail = query == std::string::npos ? "" : url.substr(query);
    return base::Cat(url.substr(0, std::min(path, query)), "/", name, tail);
}

}  // namespace

TempDb::TempDb(db::Dialect dialect) : dialect_(dialect) {
    if (dialect == db::Dialect::kSqlite) {
        folder_ = std::filesystem::temp_directory_path() / "opensend-test-XXXXXX";
        if (mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("no temporary folder");
        url_ = base::Cat("sqlite:", folder_, "/test.db");
        return;
    }
    static std::atomic<int> count{0};
    name_ = base::Cat("opensend_test_", getpid(), "_", ++count);
    const std::string server = ServerUrl();
    RunOnServer(server, base::Cat("CREATE DATABASE ", name_));
    url_ = WithDatabase(server, name_);
}

TempDb::~TempDb() {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
    if (name_.empty()) return;
    try {
        RunOnServer(ServerUrl(), base::Cat("DROP DATABASE ", name_, " WITH (FORCE)"));
    } catch (const std::exception&) {
        // The server is a throw-away one; a database left in it does no harm.
        return;
    }
}

db::PoolOptions TempDb::options() const {
    db::PoolOptions options;
    options.url = base::Secret(url_);
    options.wait = base::Duration(5'000'000);
    return options;
}

std::string TempDb::Administer(const std::string& sql) const { return RunOnServer(url_, sql); }

std::string DialectName(db::Dialect dialect) {
    return dialect == db::Dialect::kSqlite ? "Sqlite" : "Postgres";
}

}  // namespace opensend::test
