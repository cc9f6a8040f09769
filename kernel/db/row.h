#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/base/check.h"
#include "kernel/base/id.h"
#include "kernel/db/value.h"

namespace opensend::db {

/// One result row, owned. Columns by position. A wrong type, or null without Optional, is a bug.
class Row {
public:
    explicit Row(std::vector<Value> columns) : columns_(std::move(columns)) {}

    size_t size() const { return columns_.size(); }
    bool IsNull(size_t column) const { return At(column).IsNull(); }
    int64_t Int(size_t column) const;
    bool Bool(size_t column) const { return Int(column) != 0; }
    base::Time Time(size_t column) const { return {Int(column)}; }
    double Real(size_t column) const;
    const std::string& Text(size_t column) const;
    /// Bytes of a blob column.
    const std::string& Bytes(size_t column) const;
    std::optional<int64_t> OptionalInt(size_t column) const;
    std::optional<base::Time> OptionalTime(size_t column) const;
    std::optional<std::string> OptionalText(size_t column) const;
    template <class IdType>
    IdType Id(size_t column) const {
        const auto id = IdType::Parse(Text(column));
        OPENSEND_CHECK(id.has_value(), "a stored id is a UUID");
        return *id;
    }
    template <class IdType>
    std::optional<IdType> OptionalId(size_t column) const {
        if (IsNull(column)) return std::nullopt;
        return Id<IdType>(column);
    }

private:
    const Value& At(size_t column) const;
    std::vector<Value> columns_;
};

using Rows = std::vector<Row>;

}  // namespace opensend::db
