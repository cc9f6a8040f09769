#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opensend::base {

/// Why a unit of work ended; the names and statuses of the REST contract 1.6 follow from it.
enum class ErrorCode {
    kInvalidJson = 1,
    kBadRequest,
    kInvalidIdempotencyKey,
    kMissingApiKey,
    kUnauthorized,
    kRestrictedApiKey,
    kInvalidApiKey,
    kSenderRefused,
    kForbidden,
    kNotFound,
    kMethodNotAllowed,
    kRequestTimeout,
    kInvalidIdempotentRequest,
    kConcurrentIdempotentRequests,
    kConflict,
    kGone,
    kPayloadTooLarge,
    kUriTooLong,
    kUnsupportedMediaType,
    kMissingRequiredField,
    kInvalidFromAddress,
    kInvalidAttachment,
    kInvalidAccess,
    kInvalidRegion,
    kInvalidParameter,
    kValidation,
    kRateLimitExceeded,
    kQuotaExceeded,
    kHeadersTooLarge,
    kSecurity,
    kApplication,
    kInternal,
    kUnavailable,
};

/// One sentence about one field; `path` is dotted ("to.1", "attachments.0.content").
struct FieldProblem {
    std::string path;
    std::string message;
};

/// Ends the unit of work: request, job, SMTP transaction or command. `public_message` reaches the
/// client and holds nothing internal; `detail` is logged once where the error is caught.
class Error : public std::exception {
public:
    Error(ErrorCode code, std::string public_message, std::string detail = {})
        : code_(code), public_message_(std::move(public_message)), detail_(std::move(detail)) {}

    ErrorCode code() const { return code_; }
    const std::string& public_message() const { return public_message_; }
    const std::string& detail() const { return detail_; }
    /// Finer stable identifier of the REST contract ("domain_not_found"); empty: none finer.
    const std::string& reason() const { return reason_; }
    const std::vector<FieldProblem>& fields() const { return fields_; }
    /// JSON object text with further members of `details`; empty: none.
    const std::string& extra_json() const { return extra_json_; }
    /// Seconds for Retry-After; 0: none.
    int retry_after_s() const { return retry_after_s_; }

    Error&& WithReason(std::string reason) && {
        reason_ = std::move(reason);
        return std::move(*this);
    }
    Error&& WithField(std::string path, std::string message) && {
        fields_.push_back({std::move(path), std::move(message)});
        return std::move(*this);
    }
    Error&& WithFields(std::vector<FieldProblem> fields) && {
        fields_ = std::move(fields);
        return std::move(*this);
    }
    Error&& WithExtra(std::string json) && {
        extra_json_ = std::move(json);
        return std::move(*this);
    }
    Error&& WithRetryAfter(int seconds) && {
        retry_after_s_ = seconds;
        return std::move(*this);
    }

    /// For logs and test failures: public message and detail.
    const char* what() const noexcept override;

private:
    ErrorCode code_;
    std::string public_message_;
    std::string detail_;
    std::string reason_;
    std::vector<FieldProblem> fields_;
    std::string extra_json_;
    int retry_after_s_ = 0;
    mutable std::string what_;
};

/// "<object> not found.", reason "<object>_not_found" in lower case with underscores.
Error NotFound(std::string_view object);
/// 422 validation_error on one field; `reason` is the finer code ("invalid_type", "too_long", …).
Error Invalid(std::string_view field, std::string_view message, std::string_view reason = {});
/// 422 missing_required_field.
Error MissingField(std::string_view field);
/// 409 conflict.
Error Conflict(std::string_view reason, std::string_view message);
/// 503 service_unavailable with Retry-After.
Error Unavailable(std::string_view reason, std::string_view detail = {}, int retry_after_s = 5);

}  // namespace opensend::base
