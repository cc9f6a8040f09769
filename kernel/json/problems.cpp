#include "kernel/json/problems.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernel/base/text.h"

namespace opensend::json {
namespace {

constexpr size_t kMaxListed = 50;

struct PathParts {
    std::string_view head;  // the field a sentence names: indices of a batch and one key
    std::string_view rest;  // below it
};

bool IsPathIndex(std::string_view segment) {
    return !segment.empty() && segment.size() <= 9 &&
           segment.find_first_not_of("0123456789") == std::string_view::npos;
}

PathParts SplitPath(std::string_view path) {
    size_t start = 0;
    for (;;) {
        const size_t dot = path.find('.', start);
        if (dot == std::string_view::npos) return {path, {}};
        if (!IsPathIndex(path.substr(start, dot - start))) {
            return {path.substr(0, dot), path.substr(dot + 1)};
        }
        start = dot + 1;
    }
}

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }

/// The sentence as the continuation of another one; a leading acronym keeps its capitals.
std::string Continuing(std::string_view sentence) {
    std::string out(sentence);
    const bool is_word = out.size() > 1 && (IsLower(out[1]) || out[1] == ' ');
    if (is_word && out[0] >= 'A' && out[0] <= 'Z') out[0] = static_cast<char>(out[0] - 'A' + 'a');
    return out;
}

std::string Starting(std::string_view sentence) {
    std::string out(sentence);
    if (!out.empty() && IsLower(out[0])) out[0] = static_cast<char>(out[0] - 'a' + 'A');
    return out;
}

/// "1.content" as "entry 2, `content`".
std::string Whereabouts(std::string_view rest) {
    std::string out;
    for (const auto segment : base::Split(rest, '.')) {
        if (!out.empty()) out += ", ";
        const auto index = IsPathIndex(segment) ? base::ParseInt(segment) : std::nullopt;
        out += index ? base::Cat("entry ", *index + 1) : base::Cat('`', segment, '`');
    }
    return out;
}

/// A sentence about `rest` that can stand under the head: "entry 2 is not an email address."
std::string SentenceForHead(std::string_view rest, std::string_view sentence) {
    std::string said = Continuing(sentence);
    if (rest.empty()) return said;
    static constexpr std::array<std::string_view, 6> kVerbs = {"must ", "may ",  "is ",
                                                               "has ",  "does ", "cannot "};
    if (said.starts_with("not ")) return base::Cat(Whereabouts(rest), " is ", said);
    const bool has_verb = std::any_of(kVerbs.begin(), kVerbs.end(), [&](std::string_view verb) {
        return said.starts_with(verb);
    });
    return base::Cat(Whereabouts(rest), has_verb ? " " : ": ", said);
}

/// The public message in the words of its error name (REST contract 1.6).
std::string PublicMessage(
    base::ErrorCode code, std::string_view path, std::string_view head, std::string_view said
) {
    if (code == base::ErrorCode::kMissingRequiredField) {
        return base::Cat("Missing `", path, "` field.");
    }
    if (path.empty()) return base::Cat("Invalid request body: ", said);
    if (code == base::ErrorCode::kInvalidAccess || code == base::ErrorCode::kInvalidRegion) {
        return base::Cat('`', head, "` ", said);
    }
    const bool is_parameter = code == base::ErrorCode::kInvalidParameter;
    return base::Cat("Invalid `", head, is_parameter ? "` parameter: " : "` field: ", said);
}

}  // namespace

void Problems::Add(std::string_view path, std::string_view message, std::string_view reason) {
    Add(base::ErrorCode::kValidation, path, message, reason);
}

void Problems::Add(
    base::ErrorCode code, std::string_view path, std::string_view message, std::string_view reason
) {
    const auto [head, rest] = SplitPath(path);
    const std::string said = SentenceForHead(rest, message);
    if (fields_.empty()) {
        code_ = code;
        reason_ = reason;
        message_ = PublicMessage(code, path, head, said);
    }
    if (fields_.size() < kMaxListed) fields_.push_back({std::string(head), Starting(said)});
    if (!rest.empty() && fields_.size() < kMaxListed) {
        fields_.push_back({std::string(path), Starting(message)});
    }
}

void Problems::AddMissing(std::string_view path) {
    Add(base::ErrorCode::kMissingRequiredField, path, "Required.", {});
}

void Problems::ThrowIfAny() const {
    if (fields_.empty()) return;
    throw base::Error(code_, message_).WithReason(reason_).WithFields(fields_);
}

}  // namespace opensend::json
