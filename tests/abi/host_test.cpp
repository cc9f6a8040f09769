// Plugins of other minor versions and of every release, in the host as it is.
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "kernel/base/encoding.h"
#include "kernel/crypto/digest.h"
#include "tests/unit/plugin/host_fixture.h"

namespace opensend::plugin {
namespace {

using model::ResultClass;

const std::vector<std::string> kExamples = {"echo_transport", "null_transport"};

class AbiTest : public HostFixture {
protected:
    /// Checks the file, starts it as transport "t" and sends through it.
    void ExpectItWorks(const std::filesystem::path& folder, const std::string& name) {
        const std::string file = folder / (name + ".so");
        SCOPED_TRACE(file);
        const InspectReport report = Inspect(file);
        EXPECT_TRUE(report.ok) << testing::PrintToString(report.findings);
        config.dir = folder;
        config.plugins = {};
        config.transports = {};
        auto* transport = Start(name);
        ASSERT_NE(transport, nullptr) << Problem();
        const auto results = Deliver(*transport, 40);
        for (size_t i = 0; i < results.size(); ++i) {
            ASSERT_EQ(results[i].size(), 2u);
            for (const auto& outcome : results[i]) EXPECT_EQ(outcome.result, ResultClass::kOk);
            const bool echoes = name == "echo_transport";
            EXPECT_EQ(results[i][0].remote_id, echoes ? "id" + std::to_string(i) : "");
        }
        const PluginStatus status = host->plugins()[0];
        EXPECT_EQ(status.errors, 0u);
        EXPECT_EQ(status.late, 0u);
        EXPECT_EQ(Status().violations, 0u);
        EXPECT_EQ(Status().state, "running") << Status().why;
        host.reset();
    }
};

TEST_F(AbiTest, PluginsOfALaterHeaderWork) {
    for (const auto& name : kExamples)
        ExpectItWorks(OPENSEND_BINARY_DIR "/plugins_abi/longer", name);
}

TEST_F(AbiTest, PluginsOfAnEarlierHeaderWork) {
    for (const auto& name : kExamples)
        ExpectItWorks(OPENSEND_BINARY_DIR "/plugins_abi/shorter", name);
}

std::vector<std::filesystem::path> Sorted(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
}

std::string ReadAll(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in) << path;
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

const std::filesystem::path kMuseum = OPENSEND_SOURCE_DIR "/tests/museum";

TEST_F(AbiTest, WhatWasReleasedIsUnchanged) {
    size_t files = 0;
    for (const auto& release : Sorted(kMuseum)) {
        std::istringstream lines(ReadAll(release / "SHA256SUMS"));
        for (std::string sum, name; lines >> sum >> name; ++files)
            EXPECT_EQ(base::HexEncode(crypto::Sha256(ReadAll(release / name))), sum) << name;
    }
    EXPECT_GE(files, 4u);
}

TEST_F(AbiTest, PluginsOfEveryReleaseWork) {
    utsname machine{};
    ASSERT_EQ(uname(&machine), 0);
    size_t plugins = 0;
    for (const auto& release : Sorted(kMuseum)) {
        const auto folder = release / machine.machine;
        if (!std::filesystem::exists(folder)) continue;
        for (const auto& file : Sorted(folder)) {
            ExpectItWorks(folder, file.stem());
            ++plugins;
        }
    }
    EXPECT_GE(plugins, 2u) << "no release was kept for " << machine.machine;
}

}  // namespace
}  // namespace opensend::plugin
