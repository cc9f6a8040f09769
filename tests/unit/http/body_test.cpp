#include "kernel/http/body.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/http/server_fixture.h"

namespace opensend::http {
namespace {

const std::string kFolder = std::filesystem::temp_directory_path();

TEST(Body, StaysInMemoryUpToTheThreshold) {
    Body body;
    EXPECT_TRUE(body.Append("abcd", {kFolder, 8}));
    EXPECT_TRUE(body.Append("efgh", {kFolder, 8}));
    EXPECT_FALSE(body.in_file());
    EXPECT_EQ(body.View(), "abcdefgh");
}

TEST(Body, GoesToAFileBeyondTheThresholdAndReadsTheSame) {
    const SpoolRules rules{kFolder, 8};
    Body body;
    std::string all;
    for (int i = 0; i < 5'000; ++i) {
        const std::string piece = std::to_string(i) + std::string("\0\r\n", 3);
        EXPECT_TRUE(body.Append(piece, rules));
        all += piece;
        if (i == 2'500) {
            EXPECT_EQ(body.View(), all);
        }
    }
    EXPECT_TRUE(body.in_file());
    EXPECT_EQ(body.size(), all.size());
    EXPECT_EQ(body.View(), all);
    Body moved = std::move(body);
    EXPECT_TRUE(body.empty());  // NOLINT: what a moved body is
    EXPECT_EQ(moved.View(), all);
}

TEST(Body, WithoutAFolderNeverLeavesMemory) {
    Body body;
    EXPECT_TRUE(body.Append(std::string(1 << 20, 'x'), {}));
    EXPECT_FALSE(body.in_file());
}

TEST(Body, SaysWhenItCannotBeStored) {
    Body body;
    EXPECT_FALSE(body.Append(std::string(9, 'x'), {"/nonexistent", 8}));
}

class SpoolTest : public ServerTest {};

TEST_F(SpoolTest, AnUploadAboveTheThresholdArrivesWhole) {
    Start({
        .spool = {kFolder, 1'000}
    });
    const std::string sent(90'000, 'q');
    RawClient client(port());
    client.Send(base::Cat("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n", sent));
    EXPECT_NE(client.ReadAnswer().find(base::Cat('[', sent, ']')), std::string::npos);
    client.Send("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5dc\r\n");
    client.Send(base::Cat(std::string(1'500, 'r'), "\r\n0\r\n\r\n"));
    EXPECT_NE(
        client.ReadAnswer().find(base::Cat('[', std::string(1'500, 'r'), ']')), std::string::npos
    );
}

TEST_F(SpoolTest, ABodyThatCannotBeStoredIs503) {
    Start({
        .spool = {"/nonexistent", 1'000}
    });
    const std::string answer = UntilClosed(base::Cat(
        "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n", std::string(2'000, 'x')
    ));
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 503");
    EXPECT_NE(answer.find("service_unavailable"), std::string::npos);
}

}  // namespace
}  // namespace opensend::http
