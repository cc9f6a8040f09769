#include "kernel/json/reader.h"

#include <cmath>
#include <utility>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"

namespace opensend::json {
namespace {

/// A member name made fit for a path that is shown: short, no dots of its own.
std::string ShownName(std::string_view name) {
    constexpr size_t kMaxShown = 64;
    std::string out(name.substr(0, kMaxShown));
    for (char& c : out) {
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!is_plain) c = '_';
    }
    return out;
}

bool IsSingleLine(std::string_view text) {
    return !base::HasControl(text, true) && text.find("\u2028") == std::string_view::npos &&
           text.find("\u2029") == std::string_view::npos;
}

/// False, and a problem, when the length is outside the rule.
bool CheckLength(
    std::string_view text, std::string_view path, const TextRule& rule, Problems& problems
) {
    // A text has at most as many code points as bytes; most need no counting.
    if (text.size() <= rule.max && rule.min <= (text.empty() ? 0 : 1)) return true;
    const size_t length = base::CountCodePoints(text);
    if (length < rule.min) {
        problems.Add(
            path,
            rule.min == 1 ? std::string("Must not be empty.")
                          : base::Cat("Must have at least ", rule.min, " characters."),
            "too_short"
        );
        return false;
    }
    if (length > rule.max) {
        const auto* unit = rule.max == 1 ? " character." : " characters.";
        problems.Add(path, base::Cat("Must have at most ", rule.max, unit), "too_long");
        return false;
    }
    return true;
}

}  // namespace

std::optional<std::string> CheckText(
    Value value, std::string_view path, const TextRule& rule, Problems& problems
) {
    if (!value.IsString()) {
        problems.Add(path, "Must be text.", "invalid_type");
        return std::nullopt;
    }
    std::string_view text = value.AsString();
    if (text.find('\0') != std::string_view::npos) {
        problems.Add(path, "Must not contain the character U+0000.", "invalid_value");
        return std::nullopt;
    }
    if (rule.trim) text = base::Trim(text);
    if (rule.single_line && !IsSingleLine(text)) {
        problems.Add(path, "Must be one line without control characters.", "invalid_value");
        return std::nullopt;
    }
    if (!CheckLength(text, path, rule, problems)) return std::nullopt;
    return std::string(text);
}

ObjectReader::ObjectReader(Value object, std::string path, Problems& problems)
    : object_(object), path_(std::move(path)), problems_(problems), known_(object.size()) {
    if (object_.IsObject()) return;
    problems_.Add(path_, "Must be an object.", "invalid_type");
    object_ = Value();
    is_object_ = false;
}

std::string ObjectReader::Path(std::string_view name) const {
    return path_.empty() ? std::string(name) : base::Cat(path_, '.', name);
}

Value ObjectReader::Take(std::string_view name) {
    const auto index = object_.IndexOf(name);
    if (!index) return {};
    known_[*index] = true;
    return object_.MemberAt(*index);
}

Value ObjectReader::TakeEither(std::string_view name, std::string_view alias) {
    const Value value = Take(name);
    const Value other = Take(alias);
    return value.IsMissing() ? other : value;
}

std::optional<std::string> ObjectReader::Text(
    std::string_view name, Value value, const TextRule& rule
) {
    return CheckText(value, Path(name), rule, problems_);
}

std::optional<std::string> ObjectReader::RequireText(std::string_view name, const TextRule& rule) {
    const Value value = Take(name);
    if (!value.IsAbsent()) return Text(name, value, rule);
    if (is_object_) problems_.AddMissing(Path(name));
    return std::nullopt;
}

std::optional<std::string> ObjectReader::OptionalText(std::string_view name, const TextRule& rule) {
    const Value value = Take(name);
    if (value.IsAbsent()) return std::nullopt;
    return Text(name, value, rule);
}

std::optional<bool> ObjectReader::OptionalBool(std::string_view name) {
    const Value value = Take(name);
    if (value.IsAbsent()) return std::nullopt;
    if (value.IsBool()) return value.AsBool();
    problems_.Add(Path(name), "Must be true or false.", "invalid_type");
    return std::nullopt;
}

std::optional<int64_t> ObjectReader::OptionalInt(std::string_view name, int64_t min, int64_t max) {
    const Value value = Take(name);
    if (value.IsAbsent()) return std::nullopt;
    const bool is_whole = value.IsNumber() && std::trunc(value.AsDouble()) == value.AsDouble();
    if (!is_whole) {
        problems_.Add(Path(name), "Must be an integer.", "invalid_type");
        return std::nullopt;
    }
    // A whole number that is no integer here is beyond every range.
    if (value.IsInt() && value.AsInt() >= min && value.AsInt() <= max) return value.AsInt();
    problems_.Add(
        Path(name), base::Cat("Must be an integer from ", min, " to ", max, '.'), "out_of_range"
    );
    return std::nullopt;
}

std::vector<std::string> ObjectReader::Finish(bool strict) {
    std::vector<std::string> unknown;
    for (size_t i = 0; i < known_.size() && is_object_; ++i) {
        if (known_[i]) continue;
        unknown.emplace_back(object_.NameAt(i));
        if (strict) {
            problems_.Add(Path(ShownName(unknown.back())), "Not a known field.", "unknown_field");
        }
    }
    return unknown;
}

}  // namespace opensend::json
