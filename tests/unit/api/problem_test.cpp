#include "kernel/api/problem.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <gmock/gmock.h>

#include "kernel/json/value.h"

namespace opensend::api {
namespace {

using base::Error;
using base::ErrorCode;

struct Answered {
    explicit Answered(const Error& error) : response(ToResponse(error, "req_1")) {
        auto parsed = json::Document::Parse(response.body);
        EXPECT_TRUE(parsed.ok()) << response.body;
        document.emplace(std::move(*parsed));
    }
    std::string Text(std::string_view name) const {
        return std::string(document->root().Find(name).AsString());
    }
    http::Response response;
    std::optional<json::Document> document;
};

TEST(Problem, EveryCodeHasAStatusAndAName) {
    for (int i = 1; i <= static_cast<int>(ErrorCode::kUnavailable); ++i) {
        const auto code = static_cast<ErrorCode>(i);
        EXPECT_GE(StatusOf(code), 400) << i;
        EXPECT_LE(StatusOf(code), 503) << i;
        EXPECT_FALSE(NameOf(code).empty()) << i;
        // Only the code of that name may fall back to it.
        EXPECT_EQ(NameOf(code) == "internal_server_error", code == ErrorCode::kInternal) << i;
    }
}

TEST(Problem, StatusesAreTheOnesClientsKnow) {
    EXPECT_EQ(StatusOf(ErrorCode::kMissingApiKey), 401);
    EXPECT_EQ(StatusOf(ErrorCode::kInvalidApiKey), 403);
    EXPECT_EQ(StatusOf(ErrorCode::kNotFound), 404);
    EXPECT_EQ(StatusOf(ErrorCode::kInvalidIdempotentRequest), 409);
    EXPECT_EQ(StatusOf(ErrorCode::kMissingRequiredField), 422);
    EXPECT_EQ(StatusOf(ErrorCode::kRateLimitExceeded), 429);
    EXPECT_EQ(StatusOf(ErrorCode::kUnavailable), 503);
}

TEST(Problem, TheBodySuitsBothKindsOfClients) {
    const Answered answer(base::NotFound("Email"));
    EXPECT_EQ(answer.response.status, 404);
    EXPECT_EQ(
        answer.response.headers.Find("Content-Type"),
        std::string_view("application/json; charset=utf-8")
    );
    EXPECT_EQ(answer.document->root().Find("statusCode").AsInt(), 404);
    EXPECT_EQ(answer.Text("name"), "not_found");
    EXPECT_EQ(answer.Text("code"), "email_not_found");
    EXPECT_EQ(answer.Text("message"), answer.Text("error"));
    EXPECT_EQ(answer.Text("request_id"), "req_1");
    EXPECT_TRUE(answer.document->root().Find("details").IsMissing());
}

TEST(Problem, WithoutAReasonTheCodeIsTheName) {
    EXPECT_EQ(Answered(Error(ErrorCode::kForbidden, "No.")).Text("code"), "forbidden");
}

TEST(Problem, InternalsStayInside) {
    for (const ErrorCode code : {ErrorCode::kInternal, ErrorCode::kApplication}) {
        const Answered answer(Error(code, "password=hunter2", "at db.cpp"));
        EXPECT_EQ(answer.response.status, 500);
        EXPECT_EQ(answer.response.body.find("hunter2"), std::string::npos);
        EXPECT_EQ(answer.response.body.find("db.cpp"), std::string::npos);
        EXPECT_THAT(answer.Text("message"), testing::HasSubstr("req_1"));
    }
    const Answered away(base::Unavailable("database_unavailable", "host db1 refused"));
    EXPECT_EQ(away.response.body.find("db1"), std::string::npos);
}

TEST(Problem, FieldsAreGroupedByPath) {
    const Answered answer(Error(ErrorCode::kValidation, "Invalid.")
                              .WithFields({
                                  {"to.1",    "is not an address"},
                                  {"",        "needs a body"     },
                                  {"subject", "is too long"      },
                                  {"to.1",    "is too long"      },
                                  {"a\"b",    "is unknown"       },
    }));
    const json::Value details = answer.document->root().Find("details");
    ASSERT_EQ(details.Find("formErrors").size(), 1U);
    EXPECT_EQ(details.Find("formErrors").At(0).AsString(), "needs a body");
    const json::Value fields = details.Find("fieldErrors");
    ASSERT_EQ(fields.Find("to.1").size(), 2U);
    EXPECT_EQ(fields.Find("to.1").At(1).AsString(), "is too long");
    EXPECT_EQ(fields.Find("subject").size(), 1U);
    EXPECT_EQ(fields.Find("a\"b").size(), 1U);
}

TEST(Problem, ExtraDetailsAreGivenAsTheyAre) {
    const Answered answer(Error(ErrorCode::kConflict, "Busy.").WithExtra(R"({"limit":7})"));
    EXPECT_EQ(answer.document->root().Find("details").Find("limit").AsInt(), 7);
}

TEST(Problem, AnUnavailableServiceSaysWhenToComeBack) {
    using std::string_view;
    EXPECT_EQ(
        Answered(Error(ErrorCode::kUnavailable, "Later.")).response.headers.Find("Retry-After"),
        string_view("5")
    );
    EXPECT_EQ(
        Answered(base::Unavailable("queue_full", "", 1)).response.headers.Find("Retry-After"),
        string_view("1")
    );
    EXPECT_EQ(
        Answered(Error(ErrorCode::kRateLimitExceeded, "Slow.").WithRetryAfter(9))
            .response.headers.Find("Retry-After"),
        string_view("9")
    );
    EXPECT_FALSE(Answered(base::NotFound("Email")).response.headers.Find("Retry-After"));
}

}  // namespace
}  // namespace opensend::api
