#include "kernel/base/error.h"

#include "kernel/base/text.h"

namespace opensend::base {

const char* Error::what() const noexcept {
    try {
        what_ = detail_.empty() ? public_message_ : Cat(public_message_, " (", detail_, ")");
        return what_.c_str();
    } catch (const std::exception&) {
        return public_message_.c_str();
    }
}

Error NotFound(std::string_view object) {
    std::string reason = AsciiLower(object);
    for (char& c : reason) {
        if (c == ' ' || c == '-') c = '_';
    }
    return Error(ErrorCode::kNotFound, Cat(object, " not found."))
        .WithReason(Cat(reason, "_not_found"));
}

Error Invalid(std::string_view field, std::string_view message, std::string_view reason) {
    return Error(ErrorCode::kValidation, Cat("Invalid `", field, "` field: ", message))
        .WithReason(std::string(reason))
        .WithField(std::string(field), std::string(message));
}

Error MissingField(std::string_view field) {
    return Error(ErrorCode::kMissingRequiredField, Cat("Missing `", field, "` field."))
        .WithField(std::string(field), "Required.");
}

Error Conflict(std::string_view reason, std::string_view message) {
    return Error(ErrorCode::kConflict, std::string(message)).WithReason(std::string(reason));
}

Error Unavailable(std::string_view reason, std::string_view detail, int retry_after_s) {
    return Error(
               ErrorCode::kUnavailable, "The service cannot take this request now; retry later.",
               std::string(detail)
    )
        .WithReason(std::string(reason))
        .WithRetryAfter(retry_after_s);
}

}  // namespace opensend::base
