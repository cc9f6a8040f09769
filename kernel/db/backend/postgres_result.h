#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/db/backend/backend.h"

struct pg_result;

namespace opensend::db {

struct ClearResult {
    void operator()(pg_result* result) const;
};
using PostgresResult = std::unique_ptr<pg_result, ClearResult>;

/// What the server said about a prepared statement.
struct PostgresTypes {
    std::vector<unsigned> parameters;  // type OIDs
    bool binary = false;               // every column has a type that is read in binary form

    static PostgresTypes Of(const pg_result& description);
};

/// Parameters in the form libpq takes; valid while the values live.
class PostgresParams {
public:
    /// Throws kInternal for a value that the type of its parameter would misread.
    PostgresParams(const Query& query, const PostgresTypes& types, const Params& params);

    int count() const { return static_cast<int>(values_.size()); }
    const char* const* values() const { return values_.data(); }
    const int* lengths() const { return lengths_.data(); }
    const int* formats() const { return formats_.data(); }
    size_t bytes() const { return bytes_; }

private:
    void Add(unsigned type, const Value& value, std::string& room);
    void AddOwned(std::string& room, std::string text, bool binary);

    std::vector<std::string> rooms_;  // texts of numbers
    std::vector<const char*> values_;
    std::vector<int> lengths_, formats_;
    size_t bytes_ = 0;
};

Rows ReadRows(const pg_result& result);
int64_t ChangedRows(const pg_result& result);

/// The error for a failed result. `lost` is set when the connection is of no more use.
base::Error PostgresError(
    std::string_view name, const pg_result* result, std::string_view connection_message, bool& lost
);

}  // namespace opensend::db
