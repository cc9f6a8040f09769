#pragma once

#include <span>
#include <string>
#include <vector>

#include "kernel/base/embedded.h"
#include "kernel/db/pool.h"

namespace opensend::db {

struct MigrationStatus {
    int current = 0;                   // highest step applied
    int target = 0;                    // highest step known
    std::vector<std::string> pending;  // names
};

/// Applies kernel/db/migrations/NNNN_name.sql (embedded at build) once each, in order, each in one
/// transaction, under a lock, with its SHA-256 recorded; a changed checksum of an applied step is
/// refused. "{blob}" in the text is BLOB on SQLite and BYTEA on PostgreSQL. A statement ends with
/// ";" at the end of a line and nowhere else; a comment has its line for itself and starts with --.
MigrationStatus CheckMigrations(Pool& pool);
/// Returns the names of the steps applied now.
std::vector<std::string> Migrate(Pool& pool, base::Time now);

/// The same with other steps, in ascending order of their numbers.
MigrationStatus CheckMigrations(Pool& pool, std::span<const base::EmbeddedFile> steps);
std::vector<std::string> Migrate(
    Pool& pool, std::span<const base::EmbeddedFile> steps, base::Time now
);

/// What the build embedded.
std::span<const base::EmbeddedFile> EmbeddedMigrations();

}  // namespace opensend::db
