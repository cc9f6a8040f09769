#pragma once

#include <memory>
#include <string>

#include "kernel/access/instance_keys.h"
#include "kernel/base/clock.h"
#include "kernel/base/uuid.h"
#include "kernel/crypto/keyring.h"
#include "kernel/crypto/random.h"
#include "kernel/db/pool.h"
#include "kernel/runtime/config.h"

namespace opensend::app {

/// Time, randomness, ids, master keys and the open database: what the server and every command that
/// touches data begin with. Throws base::Error: kUnavailable when the database cannot be had,
/// kUnauthorized when the master key does not match it, kConflict when migrations are pending.
class Storage {
public:
    enum class Migrations { kApply = 1, kRequire };
    Storage(const runtime::Config& config, Migrations migrations);

    base::SystemClock clock;
    crypto::SystemRandom random;
    base::UuidSource ids{clock, random};
    crypto::Keyring keyring;
    std::unique_ptr<db::Pool> pool;
    std::unique_ptr<access::InstanceKeys> instance_keys;
    std::vector<std::string> applied;  // migrations applied now
};

/// Only the database and its migrations, for `migrate`.
std::unique_ptr<db::Pool> OpenDatabase(const runtime::Config& config);
/// Applies what is pending; in evaluation mode an empty database gets the organization "default".
std::vector<std::string> MigrateDatabase(
    db::Pool& pool, bool make_default_organization, base::UuidSource& ids, const base::Clock& clock
);

/// Holds the lock that keeps a second serve process off an SQLite database (PROC-03).
class ProcessLock {
public:
    /// Throws base::Error kUnavailable when another process holds it.
    explicit ProcessLock(const std::string& path);
    ~ProcessLock();
    ProcessLock(const ProcessLock&) = delete;
    ProcessLock& operator=(const ProcessLock&) = delete;

private:
    int fd_ = -1;
};

}  // namespace opensend::app
