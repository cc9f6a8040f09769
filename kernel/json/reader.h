#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/error.h"
#include "kernel/json/value.h"

namespace opensend::json {

/// Collects every field problem of a body; the first one added decides name and code of the answer.
class Problems {
public:
    /// 422 validation_error at `path`; `reason` is the finer code ("invalid_type", "too_long", …).
    void Add(std::string_view path, std::string_view message, std::string_view reason);
    /// A problem that answers with another name than validation_error (invalid_attachment, …).
    void Add(
        base::ErrorCode code,
        std::string_view path,
        std::string_view message,
        std::string_view reason
    );
    /// missing_required_field.
    void AddMissing(std::string_view path);
    bool empty() const { return fields_.empty(); }
    /// Throws the 422 that names the first problem and lists all of them (≤ 50).
    void ThrowIfAny() const;

private:
    base::ErrorCode code_ = base::ErrorCode::kValidation;
    std::string message_;
    std::string reason_;
    std::vector<base::FieldProblem> fields_;
};

struct TextRule {
    size_t min = 0;  // Unicode scalar values
    size_t max = std::numeric_limits<size_t>::max();
    bool single_line = false;  // CR, LF and other C0 controls but TAB are a problem
    bool trim = false;         // checked and returned without white space at the ends
};

/// Reads one object strictly. A wrong type or rule adds a problem and yields nullopt, as does
/// absence.
class ObjectReader {
public:
    /// `path` is the prefix of reported paths ("" at the top, "attachments.0" below).
    ObjectReader(Value object, std::string path, Problems& problems);

    std::optional<std::string> RequireText(std::string_view name, const TextRule& rule = {});
    std::optional<std::string> OptionalText(std::string_view name, const TextRule& rule = {});
    std::optional<bool> OptionalBool(std::string_view name);
    std::optional<int64_t> OptionalInt(std::string_view name, int64_t min, int64_t max);
    /// The raw member, marked as known; missing when absent.
    Value Take(std::string_view name);
    /// The first of two names that is present (aliases).
    Value TakeEither(std::string_view name, std::string_view alias);
    /// Names nobody asked for. With `strict`, each is a problem with reason unknown_field.
    std::vector<std::string> Finish(bool strict);

    std::string Path(std::string_view name) const;
    Problems& problems() { return problems_; }

private:
    std::optional<std::string> Text(std::string_view name, Value value, const TextRule& rule);
    Value object_;
    std::string path_;
    Problems& problems_;
    std::set<std::string, std::less<>> known_;
};

/// Checks a text value against a rule; adds a problem at `path` and returns nullopt when it fails.
/// NUL is a problem everywhere.
std::optional<std::string> CheckText(
    Value value, std::string_view path, const TextRule& rule, Problems& problems
);

}  // namespace opensend::json
