#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "kernel/events/event_log.h"
#include "kernel/json/value.h"
#include "kernel/workers/webhooks/svix_signature.h"
#include "kernel/workers/webhooks/webhook_sender.h"

namespace opensend::webhook_delivery {
namespace {

class WebhookSignature : public testing::Test {
protected:
    static std::string ReadVector() {
        std::ifstream in(OPENSEND_SOURCE_DIR "/tests/vectors/webhook-signing.json");
        std::ostringstream out;
        out << in.rdbuf();
        return out.str();
    }
    std::string Text(std::string_view name) {
        return std::string(vector_->root().Find(name).AsString());
    }
    std::vector<base::Secret> Secrets(std::initializer_list<std::string_view> names) {
        std::vector<base::Secret> out;
        for (const auto name : names) out.emplace_back(Text(name));
        return out;
    }

    base::Result<json::Document, json::ParseFailure> vector_ = json::Document::Parse(ReadVector());
};

TEST_F(WebhookSignature, ReproducesTheVectorForBothAttemptsAndDuringRotation) {
    const auto one = Secrets({"secret"});
    EXPECT_EQ(
        SignWebhook(one, Text("message_id"), 1767225600, Text("body")),
        "v1,NJ6dEoOPv6qeGViXtjghY3CmEoPveJyWAy74ENjBU/M="
    );
    EXPECT_EQ(
        SignWebhook(one, Text("message_id"), 1767225605, Text("body")),
        "v1,nOeTyDqRyZ35nIEkdu3b4b3bSwrKTk6a8HwS+lJOYWA="
    );
    EXPECT_EQ(
        SignWebhook(
            Secrets({"secret_new", "secret"}), Text("message_id"), 1767225600, Text("body")
        ),
        "v1,unhp8RqwO47jr+CJYjXIbG3RWzB2cc421GGDlFc3WW8= "
        "v1,NJ6dEoOPv6qeGViXtjghY3CmEoPveJyWAy74ENjBU/M="
    );
}

TEST_F(WebhookSignature, TheEnvelopeIsTheVectorsBody) {
    const auto body = json::Document::Parse(Text("body"));
    ASSERT_TRUE(body.ok());
    const std::string text = Text("body");
    const std::string data = text.substr(text.find("\"data\":") + 7);
    EXPECT_EQ(
        events::Envelope(
            *model::EventId::Parse(Text("event_id")), "email.delivered",
            {1767225600 * int64_t{1'000'000}}, 42, data.substr(0, data.size() - 1)
        ),
        text
    );
}

TEST_F(WebhookSignature, SecretsOfAnotherFormSignNothing) {
    for (const char* bad : {"", "whsec_", "whsec_!!!!", "AAECAwQFBgc=", "whsec_AAECAwQFBgc"}) {
        std::vector<base::Secret> secrets;
        secrets.emplace_back(std::string(bad));
        EXPECT_FALSE(SignWebhook(secrets, "msg_x", 1, "{}")) << bad;
    }
}

TEST(LadderDelay, HasTenAttemptsWithinTenPercent) {
    const int64_t pauses_s[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    for (int64_t next = 2; next <= 10; ++next) {
        const auto low = LadderDelay(next, 0.0);
        const auto high = LadderDelay(next, 1.0);
        ASSERT_TRUE(low && high);
        const int64_t middle = pauses_s[next - 2] * 1'000'000;
        EXPECT_NEAR(static_cast<double>(low->count()), static_cast<double>(middle) * 0.9, 2);
        EXPECT_NEAR(static_cast<double>(high->count()), static_cast<double>(middle) * 1.1, 2);
    }
    EXPECT_FALSE(LadderDelay(1, 0.5));
    EXPECT_FALSE(LadderDelay(11, 0.5));
}

}  // namespace
}  // namespace opensend::webhook_delivery
