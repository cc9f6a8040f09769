#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kernel/db/query.h"
#include "kernel/db/row.h"
#include "kernel/db/value.h"

namespace opensend::db {

using Params = std::vector<Value>;

/// What reads and transactions share: statements on one connection. Not thread-safe: one thread at
/// a time. Statements are prepared once per connection and kept. A failure throws base::Error
/// (kUnavailable "database_unavailable" when the database cannot answer, kInternal for a bug in a
/// statement; the detail names the query and never a value); a unique violation that no ON CONFLICT
/// took throws base::Error kConflict, reason "already_exists". Text with a NUL is refused
/// (kInternal); bytes go into a Blob. Another number of parameters than the statement names aborts.
class Session {
public:
    virtual ~Session() = default;
    /// All result rows.
    virtual Rows Execute(const Query& query, const Params& params) = 0;
    /// Rows changed by an INSERT, UPDATE or DELETE.
    virtual int64_t Change(const Query& query, const Params& params) = 0;
    /// The statement once per element, in order, in as few round trips as the database allows.
    /// Returns the sum of changed rows.
    virtual int64_t ChangeEach(const Query& query, std::span<const Params> each) = 0;

    /// The first row, if any.
    std::optional<Row> First(const Query& query, const Params& params) {
        Rows rows = Execute(query, params);
        if (rows.empty()) return std::nullopt;
        return std::move(rows.front());
    }
};

}  // namespace opensend::db
