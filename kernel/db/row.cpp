#include "kernel/db/row.h"

namespace opensend::db {

const Value& Row::At(size_t column) const {
    OPENSEND_CHECK(column < columns_.size(), "the row has this column");
    return columns_[column];
}

int64_t Row::Int(size_t column) const {
    const auto* value = std::get_if<int64_t>(&At(column).storage());
    OPENSEND_CHECK(value != nullptr, "the column holds an integer");
    return *value;
}

double Row::Real(size_t column) const {
    const auto& storage = At(column).storage();
    if (const auto* integer = std::get_if<int64_t>(&storage)) return static_cast<double>(*integer);
    const auto* value = std::get_if<double>(&storage);
    OPENSEND_CHECK(value != nullptr, "the column holds a number");
    return *value;
}

const std::string& Row::Text(size_t column) const {
    const auto* value = std::get_if<std::string>(&At(column).storage());
    OPENSEND_CHECK(value != nullptr, "the column holds text");
    return *value;
}

const std::string& Row::Bytes(size_t column) const {
    const auto* value = std::get_if<Blob>(&At(column).storage());
    OPENSEND_CHECK(value != nullptr, "the column holds a blob");
    return value->bytes;
}

std::optional<int64_t> Row::OptionalInt(size_t column) const {
    if (IsNull(column)) return std::nullopt;
    return Int(column);
}

std::optional<base::Time> Row::OptionalTime(size_t column) const {
    if (IsNull(column)) return std::nullopt;
    return Time(column);
}

std::optional<std::string> Row::OptionalText(size_t column) const {
    if (IsNull(column)) return std::nullopt;
    return Text(column);
}

}  // namespace opensend::db
