#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include <opensend/testing.hpp>

namespace {

using osp::testing::FakeHost;
using osp::testing::Plugin;
using osp::testing::Running;
namespace fs = std::filesystem;

class CaptureTest : public testing::Test {
protected:
    CaptureTest() : folder(fs::path(testing::TempDir()) / ("capture" + std::to_string(getpid()))) {
        fs::remove_all(folder);
        host.on_complete = [this](osp_token, const osp_completion& completion) {
            status = completion.status;
            results.clear();
            if (completion.result == nullptr) return;
            const auto& result = *static_cast<const osp_msg_result*>(completion.result);
            results.assign(result.rcpts, result.rcpts + result.n);
        };
    }
    ~CaptureTest() override { fs::remove_all(folder); }

    std::string Config(const std::string& more = "") const {
        return "{\"path\":\"" + folder.string() + "\"" + more + "}";
    }
    void Send(
        const Running& running,
        std::vector<std::string> recipients,
        const std::string& from = "a@x.example"
    ) {
        std::vector<osp_rcpt> views;
        for (const auto& recipient : recipients)
            views.push_back({
                sizeof(osp_rcpt), 0, osp::Str(recipient), {nullptr, 0}
            });
        const std::string data = "Subject: hi\r\n\r\nbody\r\n";
        osp_msg message{};
        message.size = sizeof message;
        message.token = 1;
        message.mail_from = osp::Str(from);
        message.rcpts = views.data();
        message.n_rcpts = static_cast<uint32_t>(views.size());
        message.rcpt_stride = sizeof(osp_rcpt);
        message.data = osp::Bytes(data);
        const osp_batch batch{sizeof batch, 0, &message, 1, sizeof message};
        osp_error error{};
        error.size = sizeof error;
        EXPECT_EQ(plugin.table<osp_transport_v1>().send(running.raw(), &batch, &error), OSP_OK);
    }
    std::vector<std::string> Kept() const {
        std::vector<std::string> out;
        for (const auto& file : fs::directory_iterator(folder / "new")) {
            std::ifstream in(file.path());
            std::stringstream text;
            text << in.rdbuf();
            out.push_back(text.str());
        }
        return out;
    }

    const fs::path folder;
    FakeHost host;
    osp_status status = OSP_OK;
    std::vector<osp_rcpt_result> results;
    Plugin plugin{OPENSEND_BINARY_DIR "/plugins/capture.so", "capture"};
};

TEST_F(CaptureTest, AMessageIsInNewWithItsEnvelope) {
    const Running running(plugin, host, Config());
    ASSERT_EQ(running.status(), OSP_OK) << running.error();
    Send(running, {"b@y.example", "c@y.example"});
    ASSERT_EQ(results.size(), 2u);
    EXPECT_EQ(results[1].outcome, OSP_OUT_ACCEPTED);
    ASSERT_EQ(Kept().size(), 1u);
    EXPECT_EQ(
        Kept()[0],
        "Return-Path: <a@x.example>\r\nX-Envelope-To: b@y.example\r\nX-Envelope-To: c@y.example\r\n"
        "Subject: hi\r\n\r\nbody\r\n"
    );
    EXPECT_TRUE(fs::is_empty(folder / "tmp"));
}

TEST_F(CaptureTest, OutcomesAreChosenByAddress) {
    const Running running(
        plugin, host,
        Config(
            R"(,"outcomes":"{\"D@y.example\":\"deferred\",\"r@y.example\":\"rejected\",)"
            R"(\"t@y.example\":\"throttled\",\"i@y.example\":\"indeterminate\",\"u@y.example\":\"auth\",)"
            R"(\"s@y.example\":\"slow:5\"}")"
        )
    );
    ASSERT_EQ(running.status(), OSP_OK) << running.error();
    Send(
        running,
        {"d@y.example", "r@y.example", "t@y.example", "i@y.example", "u@y.example", "s@y.example"}
    );
    ASSERT_EQ(results.size(), 6u);
    const int expected[] = {OSP_OUT_DEFERRED,      OSP_OUT_REJECTED, OSP_OUT_THROTTLED,
                            OSP_OUT_INDETERMINATE, OSP_OUT_DEFERRED, OSP_OUT_ACCEPTED};
    for (size_t i = 0; i < 6; ++i) EXPECT_EQ(results[i].outcome, expected[i]) << i;
    EXPECT_EQ(results[1].smtp_code, 550);
    ASSERT_EQ(Kept().size(), 1u);
    EXPECT_EQ(Kept()[0].find("d@y.example"), std::string::npos);
}

TEST_F(CaptureTest, AnAddressCannotAddALine) {
    const Running running(plugin, host, Config());
    Send(running, {"b@y.example\r\nBcc: c@y.example"});
    EXPECT_EQ(status, OSP_E_INVALID);
    EXPECT_TRUE(Kept().empty());
}

TEST_F(CaptureTest, BadConfigurationIsNamed) {
    for (const std::string& config :
         {std::string("{}"), std::string("[]"), std::string("x"),
          std::string(R"({"path":"relative"})"), Config(R"(,"colour":"red")"),
          Config(R"(,"outcomes":{"a@b":"lost"})"), Config(R"(,"outcomes":{"a@b":"slow:x"})"),
          Config(R"(,"outcomes":7)")}) {
        const Running running(plugin, host, config);
        EXPECT_EQ(running.status(), OSP_E_CONFIG) << config;
        EXPECT_FALSE(running.error().empty()) << config;
    }
}

TEST_F(CaptureTest, AFolderThatCannotBeMadeIsConfiguration) {
    const Running running(plugin, host, R"({"path":"/proc/no/such"})");
    EXPECT_EQ(running.status(), OSP_E_CONFIG);
}

TEST_F(CaptureTest, AFolderThatVanishesFailsTheMessageAndLeavesNothing) {
    const Running running(plugin, host, Config());
    fs::remove_all(folder);
    Send(running, {"b@y.example"});
    EXPECT_EQ(status, OSP_E_CONFIG);
}

}  // namespace
