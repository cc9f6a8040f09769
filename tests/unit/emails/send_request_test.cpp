#include "kernel/resources/emails/send_request.h"

#include <gmock/gmock.h>

#include "kernel/base/error.h"

namespace opensend::emails {
namespace {

/// A good body with other members put in.
std::string Body(const std::string& more) {
    return R"({"from":"a@b.example","to":"c@d.example","subject":"s","text":"t")" + more + "}";
}

class SendRequestTest : public testing::Test {
protected:
    /// "name code" of the first problem; "" without one. Attachments answer last, as in a send.
    std::string Read(const std::string& text, bool strict = false) {
        document_ = std::make_unique<json::Document>(std::move(*json::Document::Parse(text)));
        json::Problems problems;
        std::vector<std::string> ignored;
        ReadContext context;
        context.now = base::Time{1'772'442'930'000'000};
        context.url_allowed = [](std::string_view url) {
            return url.find("127.") == std::string_view::npos;
        };
        request_ = ReadSendRequest(document_->root(), "", context, strict, problems, ignored);
        try {
            problems.ThrowIfAny();
            request_.attachment_problems.ThrowIfAny();
        } catch (const base::Error& error) {
            code_ = error.code();
            return error.reason().empty() ? error.public_message() : error.reason();
        }
        return "";
    }
    std::unique_ptr<json::Document> document_;
    SendRequest request_;
    base::ErrorCode code_{};
};

TEST_F(SendRequestTest, ATemplateTakesThePlaceOfContentSubjectAndSender) {
    EXPECT_EQ(Read(R"({"to":"c@d.example","template":{"id":"welcome","variables":{"A":1}}})"), "");
    EXPECT_EQ(request_.template_ref, "welcome");
    EXPECT_EQ(Read(Body(R"(,"template":{"id":"welcome"})")), "invalid_value");
    EXPECT_EQ(
        Read(R"({"to":"c@d.example","template":{"variables":{}}})"), "Missing `template.id` field."
    );
    EXPECT_EQ(Read(R"({"to":"c@d.example","template":"welcome"})"), "invalid_type");
    EXPECT_EQ(Read(R"({"to":"c@d.example","template":{"id":"w","variables":[]}})"), "invalid_type");
    EXPECT_EQ(Read(Body(R"(,"template":null)")), "");
    EXPECT_FALSE(request_.template_ref);
}

TEST_F(SendRequestTest, ATopicIsAnIdOrAbsent) {
    EXPECT_EQ(Read(Body(R"(,"topic_id":null)")), "");
    EXPECT_EQ(Read(Body(R"(,"topic_id":"news")")), "invalid_format");
    EXPECT_EQ(Read(Body(R"(,"topic_id":7)")), "invalid_format");
    EXPECT_EQ(Read(Body(R"(,"topic_id":"019C5AF7-9160-7027-99D9-49E070886965")")), "");
    EXPECT_EQ(request_.topic, "019c5af7-9160-7027-99d9-49e070886965");
}

TEST_F(SendRequestTest, EveryProblemOfAnAttachmentHasItsName) {
    for (const char* attachments :
         {R"({})", R"([7])", R"([{}])", R"([{"content":"YQ==","path":"https://a.example/b"}])",
          R"([{"content":"*"}])", R"([{"content":""}])", R"([{"content":[256]}])",
          R"([{"content":{"type":"Buffer","data":["a"]}}])", R"([{"path":"ftp://a.example/b"}])",
          R"([{"path":7}])", R"([{"path":"https://127.0.0.1/b"}])",
          R"([{"path":"https://a.exa\nmple/"}])", R"([{"content":"YQ==","filename":"run.EXE "}])",
          R"([{"content":"YQ==","filename":7}])", R"([{"content":"YQ==","content_id":"a b"}])",
          R"([{"content":"YQ==","content_type":"x"}])",
          R"([{"content":"YQ==","content_id":"a"},{"content":"YQ==","content_id":"a"}])"}) {
        EXPECT_NE(Read(Body(std::string(R"(,"attachments":)") + attachments)), "") << attachments;
        EXPECT_EQ(code_, base::ErrorCode::kInvalidAttachment) << attachments;
    }
}

TEST_F(SendRequestTest, TheFormsOfContentGiveEqualBytes) {
    for (const char* content :
         {R"("aGVs\r\nbG8=")", R"("aGVsbG8")", R"([104,101,108,108,111])",
          R"({"type":"Buffer","data":[104,101,108,108,111]})"}) {
        ASSERT_EQ(Read(Body(std::string(R"(,"attachments":[{"content":)") + content + "}]")), "");
        EXPECT_EQ(request_.attachments[0].content, "hello") << content;
    }
}

TEST_F(SendRequestTest, UnknownMembersBelowTheTopAreRefusedWhenAsked) {
    const std::string body = Body(R"(,"attachments":[{"content":"YQ==","colour":1}])");
    EXPECT_EQ(Read(body), "");
    EXPECT_EQ(Read(body, true), "unknown_field");
    const std::string tag = Body(R"(,"tags":[{"name":"a","value":"b","colour":1}])");
    EXPECT_EQ(Read(tag), "");
    EXPECT_EQ(Read(tag, true), "unknown_field");
    EXPECT_EQ(Read(Body(R"(,"tags":[5])"), true), "invalid_type");
}

TEST_F(SendRequestTest, ATimeIsStrictlyAheadAndAtMostThirtyDays) {
    EXPECT_EQ(Read(Body(R"(,"scheduled_at":"in 1 min")")), "");
    EXPECT_EQ(Read(Body(R"(,"scheduled_at":"2026-03-02T09:15:30Z")")), "out_of_range");
    EXPECT_EQ(Read(Body(R"(,"scheduled_at":"2026-04-01T09:15:30Z")")), "");
    EXPECT_EQ(Read(Body(R"(,"scheduled_at":"2026-04-01T09:15:31Z")")), "out_of_range");
    EXPECT_EQ(Read(Body(R"(,"scheduled_at":"soon")")), "invalid_format");
    EXPECT_EQ(Read(Body(R"(,"scheduled_at":5)")), "invalid_type");
}

}  // namespace
}  // namespace opensend::emails
