#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "kernel/base/clock.h"
#include "kernel/base/id.h"

namespace opensend::db {

/// Bytes for a blob column, as opposed to text.
struct Blob {
    std::string bytes;
};

/// What a parameter or column holds: null, integer (also bool and time), real, text, blob.
class Value {
public:
    using Storage = std::variant<std::monostate, int64_t, double, std::string, Blob>;

    Value() = default;
    Value(std::nullopt_t) {}                                              // NOLINT: parameters read
    Value(bool value) : storage_(static_cast<int64_t>(value ? 1 : 0)) {}  // NOLINT   like values
    Value(int value) : storage_(static_cast<int64_t>(value)) {}           // NOLINT
    Value(int64_t value) : storage_(value) {}                             // NOLINT
    Value(double value) : storage_(value) {}                              // NOLINT
    Value(std::string value) : storage_(std::move(value)) {}              // NOLINT
    Value(std::string_view value) : storage_(std::string(value)) {}       // NOLINT
    Value(const char* value) : storage_(std::string(value)) {}            // NOLINT
    Value(Blob value) : storage_(std::move(value)) {}                     // NOLINT
    Value(base::Time value) : storage_(value.us) {}                       // NOLINT
    template <class Tag>
    Value(const base::Id<Tag>& id) : storage_(id.ToString()) {}  // NOLINT
    template <class T>
    Value(const std::optional<T>& value) {  // NOLINT
        if (value) *this = Value(*value);
    }

    const Storage& storage() const { return storage_; }
    bool IsNull() const { return storage_.index() == 0; }

private:
    Storage storage_;
};

}  // namespace opensend::db
