#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.h"

namespace opensend::json {

enum class Kind { kMissing = 1, kNull, kBool, kNumber, kString, kArray, kObject };

/// A view of one node of a Document, which must outlive it. A missing member is a Value too.
class Value {
public:
    Value() = default;

    Kind kind() const;
    bool IsMissing() const { return kind() == Kind::kMissing; }
    bool IsNull() const { return kind() == Kind::kNull; }
    /// Missing or null.
    bool IsAbsent() const { return IsMissing() || IsNull(); }
    bool IsString() const { return kind() == Kind::kString; }
    bool IsBool() const { return kind() == Kind::kBool; }
    bool IsArray() const { return kind() == Kind::kArray; }
    bool IsObject() const { return kind() == Kind::kObject; }
    bool IsNumber() const { return kind() == Kind::kNumber; }
    /// A number without fraction inside ±2^53−1.
    bool IsInt() const;

    /// Each of these on another kind is a broken invariant: ask first.
    std::string_view AsString() const;
    bool AsBool() const;
    int64_t AsInt() const;
    /// Any number, integers included.
    double AsDouble() const;

    /// Elements of an array or members of an object; 0 for others.
    size_t size() const;
    /// Element of an array.
    Value At(size_t index) const;
    /// Member of an object by name; missing when this is no object.
    Value Find(std::string_view name) const;
    /// Position of the member `name`; nullopt when there is none or this is no object.
    std::optional<size_t> IndexOf(std::string_view name) const;
    /// Name and value of the i-th member, in document order.
    std::string_view NameAt(size_t index) const;
    Value MemberAt(size_t index) const;

private:
    friend class Document;
    explicit Value(const void* node) : node_(node) {}
    const void* node_ = nullptr;
};

/// Bounds on what a document may make us do (REST contract 1.5).
struct Limits {
    size_t max_depth = 32;
    size_t max_keys = 1000;
    /// Arrays made only of integers 0–255 are exempt.
    size_t max_elements = 10'000;
    /// Values and keys in all, apart from the exempt arrays: bounds memory to a few dozen MiB.
    size_t max_values = 1'000'000;
};

struct ParseFailure {
    bool too_complex = false;  // json_too_complex rather than invalid_json
    std::string reason;        // fits "could not be read as JSON: {reason}."
};

/// A parsed text. Move-only; values point into it.
class Document {
public:
    /// Longer texts are refused.
    static constexpr size_t kMaxText = size_t{1} << 30;

    Document(Document&&) noexcept;
    Document& operator=(Document&&) noexcept;
    ~Document();

    /// RFC 8259 with a leading BOM skipped; refuses invalid UTF-8, lone surrogates, duplicate keys,
    /// trailing data, NaN, comments, and what exceeds `limits`. Never recurses on input depth.
    static base::Result<Document, ParseFailure> Parse(
        std::string_view text, const Limits& limits = {}
    );
    Value root() const;

private:
    struct State;
    explicit Document(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// RFC 8785 text: sorted keys, no white space, shortest numbers. Equal documents give equal text.
std::string Canonical(const Value& value);

}  // namespace opensend::json
