#include "kernel/listeners/control/control_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include <gtest/gtest.h>

#include "kernel/base/error.h"

namespace opensend::control {
namespace {

namespace fs = std::filesystem;

class ControlSocketTest : public testing::Test {
protected:
    // Longer than an address of a socket can be.
    ControlSocketTest()
        : root(fs::path(testing::TempDir()) / ("control" + std::to_string(getpid()))),
          folder(root / std::string(120, 'd')) {
        fs::remove_all(root);
        fs::create_directories(folder);
    }
    ~ControlSocketTest() override { fs::remove_all(root); }
    static std::optional<std::string> Answer(std::string_view command) {
        if (command == "large") return std::string(1'000'000, 'x');
        if (command == "hello") return "world";
        return std::nullopt;
    }
    const fs::path root, folder;
};

TEST_F(ControlSocketTest, ACommandIsAnswered) {
    const ControlSocket socket(folder, Answer);
    ASSERT_TRUE(socket.listening());
    EXPECT_EQ(Ask(folder, "hello"), "world");
    EXPECT_EQ(Ask(folder, "large")->size(), 1'000'000u);
    EXPECT_EQ(Ask(folder, "nonsense"), R"({"error":"unknown command"})");
}

TEST_F(ControlSocketTest, NobodyElseCanReachIt) {
    const ControlSocket socket(folder, Answer);
    struct stat status {};
    ASSERT_EQ(stat((folder / "control.sock").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST_F(ControlSocketTest, WithoutAServerThereIsNoAnswer) {
    EXPECT_EQ(Ask(folder, "hello"), std::nullopt);
    EXPECT_EQ(Ask(folder / "absent", "hello"), std::nullopt);
    { const ControlSocket socket(folder, Answer); }
    EXPECT_EQ(Ask(folder, "hello"), std::nullopt);
    EXPECT_FALSE(fs::exists(folder / "control.sock"));
}

TEST_F(ControlSocketTest, WhatACrashLeftIsReplacedAndALiveOneIsNot) {
    const int left = socket(AF_UNIX, SOCK_STREAM, 0);
    fs::current_path(folder);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string("control.sock").copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    close(left);
    fs::current_path(root.parent_path());
    const ControlSocket first(folder, Answer);
    EXPECT_TRUE(first.listening());
    const ControlSocket second(folder, [](std::string_view) { return std::string("other"); });
    EXPECT_FALSE(second.listening());
    EXPECT_EQ(Ask(folder, "hello"), "world");
}

TEST_F(ControlSocketTest, ALineWithoutEndIsNotWaitedForByOthersForLong) {
    const ControlSocket socket(folder, Answer);
    EXPECT_THROW(Ask(folder, std::string(1000, 'x')), base::Error);
    EXPECT_EQ(Ask(folder, "hello"), "world");
}

}  // namespace
}  // namespace opensend::control
