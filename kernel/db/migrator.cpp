#include "kernel/db/migrator.h"

#include <map>

#include <Poco/SHA2Engine.h>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/db/guards.h"
#include "kernel/db/transaction.h"

namespace opensend::db {
namespace {

using Steps = std::span<const base::EmbeddedFile>;

constexpr Query kCreateTable = {
    "",
    "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY, "
    "name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)"};
constexpr Query kApplied = {"", "SELECT version, checksum FROM schema_migrations"};
constexpr Query kRecord = {
    "",
    "INSERT INTO schema_migrations (version, name, checksum, applied_at) "
    "VALUES ($1, $2, $3, $4)"};
constexpr Query kHasTableSqlite = {
    "", "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'"};
constexpr Query kHasTablePostgres = {"", "SELECT to_regclass('schema_migrations') IS NOT NULL"};
// Any number will do that nothing else locks.
constexpr Query kLockPostgres = {"", "SELECT pg_advisory_xact_lock(7305421998)"};
constexpr Query kNoTimeLimitPostgres = {"", "SET LOCAL statement_timeout = 0"};

/// "0001_tenancy" of "0001_tenancy.sql".
std::string StepName(const base::EmbeddedFile& step) {
    const size_t dot = step.name.rfind('.');
    return std::string(step.name.substr(0, dot));
}

int StepVersion(const base::EmbeddedFile& step) {
    const auto number = base::ParseInt(step.name.substr(0, step.name.find('_')));
    OPENSEND_CHECK(number && *number >= 0 && *number < 1'000'000, "a step is NNNN_name.sql");
    return static_cast<int>(*number);
}

void CheckOrder(Steps steps) {
    for (size_t i = 1; i < steps.size(); ++i)
        OPENSEND_CHECK(
            StepVersion(steps[i - 1]) < StepVersion(steps[i]), "the numbers of steps ascend"
        );
}

std::string Checksum(std::string_view text) {
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    engine.update(text.data(), static_cast<unsigned>(text.size()));
    return Poco::DigestEngine::digestToHex(engine.digest());
}

std::vector<std::string> Statements(std::string_view text) {
    std::vector<std::string> statements;
    std::string current;
    for (const std::string_view line : base::Split(text, '\n')) {
        const std::string_view trimmed = base::Trim(line);
        if (trimmed.empty() || trimmed.starts_with("--")) continue;
        current += base::Cat(line, '\n');
        if (!trimmed.ends_with(';')) continue;
        current.erase(current.rfind(';'));
        if (!base::Trim(current).empty()) statements.push_back(std::move(current));
        current.clear();
    }
    if (!base::Trim(current).empty()) statements.push_back(std::move(current));
    return statements;
}

using Applied = std::map<int, std::string>;  // version → checksum

Applied ReadApplied(Session& session) {
    Applied applied;
    for (const Row& row : session.Execute(kApplied, {}))
        applied.emplace(static_cast<int>(row.Int(0)), row.Text(1));
    return applied;
}

/// True when the step was applied as it is now.
bool IsApplied(const Applied& applied, const base::EmbeddedFile& step) {
    const auto found = applied.find(StepVersion(step));
    if (found == applied.end()) return false;
    if (found->second != Checksum(step.bytes))
        throw base::Error(
            base::ErrorCode::kInternal, "The database does not fit this version of the program.",
            base::Cat("the text of migration ", StepName(step), " differs from what was applied")
        );
    return true;
}

/// False when it had been applied, by another process perhaps.
bool ApplyStep(Pool& pool, const base::EmbeddedFile& step, base::Time now) {
    Transaction transaction(pool, Plane::kAccept, Scope::Owner());
    if (pool.dialect() == Dialect::kPostgres) {
        transaction.Execute(kNoTimeLimitPostgres, {});
        transaction.Execute(kLockPostgres, {});
    }
    transaction.Execute(kCreateTable, {});
    if (IsApplied(ReadApplied(transaction), step)) return false;
    for (const std::string& statement : Statements(step.bytes))
        transaction.Execute({"", statement}, {});
    transaction.Execute(kRecord, {StepVersion(step), StepName(step), Checksum(step.bytes), now});
    transaction.Commit();
    return true;
}

}  // namespace

MigrationStatus CheckMigrations(Pool& pool, Steps steps) {
    CheckOrder(steps);
    Reader reader(pool, Scope::Owner());
    const bool postgres = pool.dialect() == Dialect::kPostgres;
    const auto has_table = reader.First(postgres ? kHasTablePostgres : kHasTableSqlite, {});
    Applied applied;
    if (has_table && has_table->Bool(0)) applied = ReadApplied(reader);
    MigrationStatus status;
    if (!applied.empty()) status.current = applied.rbegin()->first;
    for (const base::EmbeddedFile& step : steps) {
        status.target = StepVersion(step);
        if (!IsApplied(applied, step)) status.pending.push_back(StepName(step));
    }
    return status;
}

std::vector<std::string> Migrate(Pool& pool, Steps steps, base::Time now) {
    std::vector<std::string> done;
    if (CheckMigrations(pool, steps).pending.empty()) return done;
    for (const base::EmbeddedFile& step : steps) {
        if (ApplyStep(pool, step, now)) done.push_back(StepName(step));
    }
    return done;
}

MigrationStatus CheckMigrations(Pool& pool) { return CheckMigrations(pool, EmbeddedMigrations()); }

std::vector<std::string> Migrate(Pool& pool, base::Time now) {
    std::vector<std::string> done = Migrate(pool, EmbeddedMigrations(), now);
    RaiseGuards(pool);
    return done;
}

}  // namespace opensend::db
