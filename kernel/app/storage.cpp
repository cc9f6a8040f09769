#include "kernel/app/storage.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "kernel/base/check.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/db/migrator.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/organizations/organization_store.h"

namespace opensend::app {
namespace {

crypto::Keyring OpenKeyring(const runtime::Config& config) {
    const auto writing = config.SecretValue("WEBHOOK_SECRET_ENCRYPTION_KEY");
    if (!writing) {
        throw base::Error(
            base::ErrorCode::kUnauthorized, "WEBHOOK_SECRET_ENCRYPTION_KEY is not set"
        );
    }
    std::vector<base::Secret> reading;
    if (const auto previous = config.SecretValue("WEBHOOK_SECRET_ENCRYPTION_KEY_PREVIOUS")) {
        for (const auto& text : base::SplitList(previous->Reveal())) {
            reading.emplace_back(std::string(text));
        }
    }
    auto ring = crypto::Keyring::Make(*writing, reading);
    if (!ring.ok()) throw base::Error(base::ErrorCode::kUnauthorized, ring.error());
    return std::move(*ring);
}

}  // namespace

std::unique_ptr<db::Pool> OpenDatabase(const runtime::Config& config) {
    const auto url = config.SecretValue("DATABASE_URL");
    OPENSEND_CHECK(url.has_value(), "DATABASE_URL has a default");
    db::PoolOptions options;
    options.url = url->Clone();
    options.accept = static_cast<int>(config.Int("database.pool.accept"));
    options.deliver = static_cast<int>(config.Int("database.pool.deliver"));
    options.events = static_cast<int>(config.Int("database.pool.events"));
    options.dashboard = static_cast<int>(config.Int("database.pool.dashboard"));
    options.statement_timeout = config.Span("database.statement_timeout");
    options.wait = config.Span("startup.db_wait");
    return db::Pool::Open(std::move(options));
}

std::vector<std::string> MigrateDatabase(
    db::Pool& pool, bool make_default_organization, base::UuidSource& ids, const base::Clock& clock
) {
    const bool was_empty = db::CheckMigrations(pool).current == 0;
    std::vector<std::string> applied = db::Migrate(pool, clock.Now());
    if (was_empty && make_default_organization) {
        db::Transaction tx(pool, db::Plane::kAccept, db::Scope::AllTenants());
        organizations::Organization organization;
        organization.id = model::TenantId(ids.Next());
        organization.name = "default";
        organization.created_at = clock.Now();
        organizations::OrganizationStore::Insert(tx, organization);
        tx.Commit();
    }
    return applied;
}

Storage::Storage(const runtime::Config& config, Migrations migrations)
    : keyring(OpenKeyring(config)), pool(OpenDatabase(config)) {
    const db::MigrationStatus status = db::CheckMigrations(*pool);
    if (!status.pending.empty()) {
        if (migrations == Migrations::kRequire) {
            throw base::Conflict(
                "migrations_pending",
                base::Cat(
                    "the database is at schema ", status.current, ", this program needs ",
                    status.target, "; run `opensend migrate`"
                )
            );
        }
        applied = MigrateDatabase(*pool, !config.strict(), ids, clock);
    }
    if (status.current > status.target + 1) {
        throw base::Conflict(
            "schema_too_new",
            base::Cat(
                "the database is at schema ", status.current, ", this program knows ", status.target
            )
        );
    }
    instance_keys = std::make_unique<access::InstanceKeys>(*pool, keyring);
    instance_keys->Open(random, clock.Now());
}

ProcessLock::ProcessLock(const std::string& path) {
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0)
        throw base::Unavailable("database_unavailable", base::Cat(path, ": cannot be opened"));
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
        close(fd_);
        throw base::Unavailable(
            "database_unavailable", base::Cat(path, ": another server uses this database")
        );
    }
}

ProcessLock::~ProcessLock() { close(fd_); }

}  // namespace opensend::app
