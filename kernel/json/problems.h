#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/error.h"

namespace opensend::json {

/// Collects every field problem of a body; the first one added decides name and code of the answer.
class Problems {
public:
    /// 422 validation_error at `path`; `reason` is the finer code ("invalid_type", "too_long", …).
    /// `message` is a sentence whose subject is the field: "Must be text.", "Not an email address."
    /// A nested path is listed under its top-level key too, with its place put into the sentence.
    /// Path "" is the whole body.
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

}  // namespace opensend::json
