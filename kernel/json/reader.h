#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/json/problems.h"
#include "kernel/json/value.h"

namespace opensend::json {

struct TextRule {
    size_t min = 0;  // Unicode scalar values
    size_t max = std::numeric_limits<size_t>::max();
    bool single_line = false;  // no CR, LF, U+2028, U+2029, nor other controls but TAB
    bool trim = false;         // checked and returned without white space at the ends
};

/// Reads one object strictly. A wrong type or rule adds a problem and yields nullopt, as does
/// absence.
class ObjectReader {
public:
    /// `path` is the prefix of reported paths ("" at the top, "attachments.0" below). Another kind
    /// than an object is one problem; its members then count as absent without further ones.
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
    bool is_object_ = true;
    std::vector<bool> known_;  // per member: somebody asked for it
};

/// Checks a text value against a rule; adds a problem at `path` and returns nullopt when it fails.
/// NUL is a problem everywhere.
std::optional<std::string> CheckText(
    Value value, std::string_view path, const TextRule& rule, Problems& problems
);

}  // namespace opensend::json
