#include "kernel/api/problem.h"

#include <algorithm>

#include "kernel/api/call.h"
#include "kernel/base/text.h"
#include "kernel/json/writer.h"

namespace opensend::api {
namespace {

using base::ErrorCode;

struct ProblemRow {
    ErrorCode code;
    int status;
    std::string_view name;
};
constexpr ProblemRow kProblems[] = {
    {ErrorCode::kInvalidJson,                  400, "validation_error"              },
    {ErrorCode::kBadRequest,                   400, "validation_error"              },
    {ErrorCode::kInvalidIdempotencyKey,        400, "invalid_idempotency_key"       },
    {ErrorCode::kMissingApiKey,                401, "missing_api_key"               },
    {ErrorCode::kUnauthorized,                 401, "unauthorized"                  },
    {ErrorCode::kRestrictedApiKey,             401, "restricted_api_key"            },
    {ErrorCode::kInvalidApiKey,                403, "invalid_api_key"               },
    {ErrorCode::kSenderRefused,                403, "validation_error"              },
    {ErrorCode::kForbidden,                    403, "forbidden"                     },
    {ErrorCode::kNotFound,                     404, "not_found"                     },
    {ErrorCode::kMethodNotAllowed,             405, "method_not_allowed"            },
    {ErrorCode::kRequestTimeout,               408, "request_timeout"               },
    {ErrorCode::kInvalidIdempotentRequest,     409, "invalid_idempotent_request"    },
    {ErrorCode::kConcurrentIdempotentRequests, 409, "concurrent_idempotent_requests"},
    {ErrorCode::kConflict,                     409, "conflict"                      },
    {ErrorCode::kGone,                         410, "gone"                          },
    {ErrorCode::kPayloadTooLarge,              413, "payload_too_large"             },
    {ErrorCode::kUriTooLong,                   414, "uri_too_long"                  },
    {ErrorCode::kUnsupportedMediaType,         415, "unsupported_media_type"        },
    {ErrorCode::kMissingRequiredField,         422, "missing_required_field"        },
    {ErrorCode::kInvalidFromAddress,           422, "invalid_from_address"          },
    {ErrorCode::kInvalidAttachment,            422, "invalid_attachment"            },
    {ErrorCode::kInvalidAccess,                422, "invalid_access"                },
    {ErrorCode::kInvalidRegion,                422, "invalid_region"                },
    {ErrorCode::kInvalidParameter,             422, "invalid_parameter"             },
    {ErrorCode::kValidation,                   422, "validation_error"              },
    {ErrorCode::kRateLimitExceeded,            429, "rate_limit_exceeded"           },
    {ErrorCode::kQuotaExceeded,                429, "daily_quota_exceeded"          },
    {ErrorCode::kHeadersTooLarge,              431, "headers_too_large"             },
    {ErrorCode::kSecurity,                     451, "security_error"                },
    {ErrorCode::kApplication,                  500, "application_error"             },
    {ErrorCode::kInternal,                     500, "internal_server_error"         },
    {ErrorCode::kUnavailable,                  503, "service_unavailable"           },
};

const ProblemRow& Row(ErrorCode code) {
    const auto* row = std::find_if(std::begin(kProblems), std::end(kProblems), [&](const auto& r) {
        return r.code == code;
    });
    return row == std::end(kProblems) ? kProblems[31] : *row;
}

/// {"formErrors":[…],"fieldErrors":{path:[…]}}; a path stands once with all its sentences.
void WriteFields(json::Writer& out, const std::vector<base::FieldProblem>& fields) {
    out.Key("formErrors").BeginArray();
    for (const auto& field : fields) {
        if (field.path.empty()) out.String(field.message);
    }
    out.EndArray().Key("fieldErrors").BeginObject();
    std::vector<std::string> written;
    for (const auto& field : fields) {
        if (field.path.empty()) continue;
        if (std::find(written.begin(), written.end(), field.path) != written.end()) continue;
        written.push_back(field.path);
        out.Key(field.path).BeginArray();
        for (const auto& other : fields) {
            if (other.path == field.path) out.String(other.message);
        }
        out.EndArray();
    }
    out.EndObject();
}

}  // namespace

int StatusOf(ErrorCode code) { return Row(code).status; }
std::string_view NameOf(ErrorCode code) { return Row(code).name; }

http::Response ToResponse(const base::Error& error, std::string_view request_id) {
    const ProblemRow& row = Row(error.code());
    std::string message = error.public_message();
    if (row.status == 500) {
        message = base::Cat("Unexpected error; quote request id ", request_id, '.');
    }
    json::Writer out;
    out.BeginObject().Field("statusCode", row.status).Field("name", row.name);
    out.Field("code", error.reason().empty() ? std::string(row.name) : error.reason());
    out.Field("message", message).Field("error", message);
    if (!error.fields().empty() || !error.extra_json().empty()) {
        if (error.fields().empty()) {
            out.RawField("details", error.extra_json());
        } else {
            out.Key("details").BeginObject();
            WriteFields(out, error.fields());
            out.EndObject();
        }
    }
    out.Field("request_id", std::string(request_id)).EndObject();
    http::Response response = Json(row.status, out.Take());
    const int retry = error.retry_after_s();
    if (retry > 0 || row.status == 503) {
        response.headers.Set("Retry-After", base::Cat(retry > 0 ? retry : 5));
    }
    return response;
}

}  // namespace opensend::api
