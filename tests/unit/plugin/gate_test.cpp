#include "kernel/plugin/load/gate.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "kernel/base/encoding.h"
#include "kernel/crypto/digest.h"
#include "kernel/crypto/signature.h"
#include "kernel/plugin/load/loader.h"
#include "kernel/plugin/load/signing.h"
#include "tests/unit/plugin/host_fixture.h"

namespace opensend::plugin {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

std::string ReadFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

class GateTest : public HostFixture {
protected:
    GateTest() : folder(fs::path(testing::TempDir()) / ("gate" + std::to_string(getpid()))) {
        fs::remove_all(folder);
        fs::create_directory(folder);
        chmod(folder.c_str(), 0700);
        good = ReadFile(OPENSEND_BINARY_DIR "/plugins_bad/bad_good.so");
        path = folder / "p.so";
        Write(good);
    }
    ~GateTest() override { fs::remove_all(folder); }
    void Write(std::string_view bytes) {
        std::ofstream file(path, std::ios::binary | std::ios::trunc);
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        file.close();
        chmod(path.c_str(), 0644);
    }
    std::string Finding() {
        const auto report = Inspect(path);
        EXPECT_EQ(report.ok, report.findings.empty());
        return report.findings.empty() ? "" : report.findings[0].substr(path.string().size());
    }
    const fs::path folder;
    fs::path path;
    std::string good;
};

TEST_F(GateTest, AGoodFileShowsItsManifest) {
    const auto report = Inspect(path);
    EXPECT_TRUE(report.ok);
    EXPECT_THAT(report.manifest_json, HasSubstr("opensend.transport/1:bad"));
}

TEST_F(GateTest, WhatOthersCanWriteIsRefused) {
    chmod(path.c_str(), 0666);
    EXPECT_EQ(Finding(), ": file: expected nobody else may write, found mode 0666");
    chmod(path.c_str(), 0644);
    chmod(folder.c_str(), 0777);
    EXPECT_EQ(
        Finding(), ": folder: expected nobody else may write, found mode 0777 of " + folder.string()
    );
}

TEST_F(GateTest, OnlyARegularFileIsOpened) {
    const fs::path real = folder / "real.so";
    fs::rename(path, real);
    fs::create_symlink(real, path);
    EXPECT_EQ(Finding(), ": open: expected a regular file, found a symbolic link");
    fs::remove(path);
    fs::create_directory(path);
    EXPECT_EQ(Finding(), ": open: expected a regular file, found something else");
    fs::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(Finding(), ": open: expected a regular file, found something else");
}

TEST_F(GateTest, ATruncatedFileIsRefusedAtEveryLength) {
    for (size_t length = 0; length < good.size(); length += 64) {
        Write(std::string_view(good).substr(0, length));
        EXPECT_FALSE(Inspect(path).ok) << length;
    }
}

TEST_F(GateTest, AChangedByteOfTheHeadersNeverCrashesTheReader) {
    for (size_t at = 0; at < std::min<size_t>(good.size(), 1200); ++at) {
        std::string bytes = good;
        bytes[at] = static_cast<char>(~bytes[at]);
        Write(bytes);
        Inspect(path);
    }
}

TEST_F(GateTest, AFileOfMoreThan64MegabytesIsNotRead) {
    ASSERT_EQ(truncate(path.c_str(), 64 * 1024 * 1024 + 1), 0);
    EXPECT_EQ(Finding(), ": size: expected at most 64 MB, found 67108865 bytes");
}

TEST_F(GateTest, APinHoldsTheFile) {
    config.dir = folder;
    config.plugins.push_back({"p", "", base::HexEncode(crypto::Sha256(good)), false, "{}"});
    EXPECT_TRUE(Host(config, deps).plugins()[0].up);
    config.plugins[0].sha256[3] = config.plugins[0].sha256[3] == '0' ? '1' : '0';
    config.plugins[0].required = true;
    const Host pinned(config, deps);
    EXPECT_FALSE(pinned.plugins()[0].up);
    EXPECT_THAT(pinned.fatal_problems(), testing::Contains(HasSubstr("p: sha256: expected")));
}

/// The line of the gate about a file of the build's bad plugins; "" when it passes.
std::string LineOf(const std::string& name, GatePolicy policy = {}) {
    GateRequest request;
    request.name = name;
    request.path = OPENSEND_BINARY_DIR "/plugins_bad/" + name + ".so";
    request.policy = std::make_shared<const GatePolicy>(std::move(policy));
    const auto file = PassGate(request);
    return file.ok() ? "" : Describe(name, file.error());
}

TEST(GateLines, EachBadLinkHasItsOwn) {
    const std::pair<const char*, const char*> lines[] = {
        {"bad_execstack",
         "stack: expected a stack that is not executable, found an executable one"                     },
        {"bad_runpath",      "rpath: expected no search path of its own, found /opt/acme"              },
        {"bad_lazy",         "now: expected symbols bound when it is loaded (-z now), found later ones"},
        {"bad_norelro",
         "relro: expected tables that become read-only (-z relro), found they stay writable"           },
        {"bad_textrel",      "textrel: expected code that needs no relocation, found text relocations" },
        {"bad_export",       "exports: expected functions osp_plugin_v* and nothing else, found helper"},
        {"bad_foreign",
         "needed: expected libraries of the system or of plugins.allowed_libraries, found "
         "libforeign.so"                                                                               },
        {"bad_kind",         "kinds: expected an interface of this server, found opensend.magic/1:bad" },
        {"bad_schema_words",
         "manifest: expected words of the schema subset at config_schema.bad, found oneOf"             },
    };
    for (const auto& [name, line] : lines) EXPECT_EQ(LineOf(name), base::Cat(name, ": ", line));
    EXPECT_THAT(
        LineOf("bad_unique"),
        testing::StartsWith(
            "bad_unique: unique: expected no unique symbol (-fno-gnu-unique), found "
        )
    );
}

TEST(GateLines, TheOperatorAllowsLibrariesAndExperiments) {
    GatePolicy policy;
    policy.allowed_libraries = {"libforeign.so"};
    policy.experimental = {"magic"};
    EXPECT_EQ(LineOf("bad_foreign", policy), "");
    EXPECT_EQ(LineOf("bad_experimental", policy), "");
    EXPECT_THAT(LineOf("bad_experimental"), HasSubstr("kinds: expected an interface"));
}

TEST(GateLines, WhatWeShipPasses) {
    for (const char* name : {"api_key", "capture", "memory_limit", "smtp"}) {
        GateRequest request;
        request.name = name;
        request.path = base::Cat(OPENSEND_BINARY_DIR "/plugins/", name, ".so");
        request.grants.emplace();
        const auto file = PassGate(request);
        EXPECT_TRUE(file.ok()) << Describe(name, file.error());
    }
}

class PlacedTest : public GateTest {
protected:
    PlacedTest() {
        policy.dir = folder;
        request.name = "p";
        request.path = path;
    }
    /// The whole line; "" when the file passes.
    std::string Line() {
        request.policy = std::make_shared<const GatePolicy>(policy);
        const auto file = PassGate(request);
        return file.ok() ? "" : Describe("p", file.error());
    }
    void WriteFile(const fs::path& where, std::string_view bytes) {
        std::ofstream(where, std::ios::binary | std::ios::trunc) << bytes;
        chmod(where.c_str(), 0644);
    }
    void Sign(const crypto::SigningKey& key, std::string_view bytes, std::string_view version) {
        const std::string text = SignedBytes(crypto::Sha256(bytes), "test.bad", version);
        WriteFile(path.string() + ".sig", SignatureLine(key.SignEd25519(text)));
    }
    GatePolicy policy;
    GateRequest request;
};

TEST_F(PlacedTest, OnlyWhatIsEnabledIsOpened) {
    request.enabled = false;
    EXPECT_EQ(Line(), "p: name: expected a name in plugins.enabled, found p");
}

TEST_F(PlacedTest, NoPathLeavesTheFolder) {
    const fs::path inner = folder / "inner", outer = folder / "outer";
    fs::create_directory(inner);
    fs::create_directory(outer);
    fs::rename(path, outer / "p.so");
    policy.dir = inner;
    const std::string line =
        "p: open: expected a file below plugins.dir, found a path that leaves it";
    for (const fs::path& way : {inner / "../outer/p.so", outer / "p.so", fs::path("/p.so")}) {
        request.path = way;
        EXPECT_EQ(Line(), line) << way;
    }
    fs::create_directory_symlink(outer, inner / "way");
    request.path = inner / "way/p.so";
    EXPECT_EQ(Line(), "p: open: expected a regular file, found a symbolic link");
    fs::create_symlink("../outer/p.so", inner / "p.so");
    request.path = inner / "p.so";
    EXPECT_EQ(Line(), "p: open: expected a regular file, found a symbolic link");
    policy.dir = folder.string() + "/";
    request.path = policy.dir + "/outer/p.so";
    EXPECT_EQ(Line(), "");
    request.path = policy.dir;
    EXPECT_EQ(Line(), "p: open: expected the name of a file, found none");
}

TEST_F(PlacedTest, AHardLinkIsRefused) {
    fs::create_hard_link(path, folder / "other.so");
    EXPECT_EQ(Line(), "p: file: expected no hard link to it, found 2 names");
}

TEST_F(PlacedTest, EveryFolderAboveTheFileCounts) {
    const fs::path deep = folder / "a/b";
    fs::create_directories(deep);
    fs::rename(path, deep / "p.so");
    request.path = deep / "p.so";
    policy.dir = deep;
    chmod((folder / "a").c_str(), 0775);
    EXPECT_EQ(
        Line(), base::Cat(
                    "p: folder: expected nobody else may write, found mode 0775 of ",
                    (folder / "a").string()
                )
    );
    // Sticky: others may add to it and exchange nothing.
    chmod((folder / "a").c_str(), 01777);
    EXPECT_EQ(Line(), "");
    chmod((folder / "a").c_str(), 0755);
    chmod(deep.c_str(), 01777);
    EXPECT_THAT(Line(), HasSubstr("folder: expected nobody else may write, found mode 0777"));
}

TEST_F(PlacedTest, AnotherOwnerIsRefused) {
    ASSERT_EQ(geteuid(), 0u) << "tests run as root, who can give a file away";
    ASSERT_EQ(chown(path.c_str(), 12345, 0), 0);
    EXPECT_EQ(Line(), "p: file: expected owner root or this process's user, found user 12345");
    ASSERT_EQ(chown(path.c_str(), 0, 0), 0);
    ASSERT_EQ(chown(folder.c_str(), 12345, 0), 0);
    EXPECT_THAT(
        Line(), HasSubstr("folder: expected owner root or this process's user, found user")
    );
}

TEST_F(PlacedTest, AFileExchangedAfterTheCheckIsNotLoaded) {
    request.policy = std::make_shared<const GatePolicy>(policy);
    auto file = PassGate(request);
    ASSERT_TRUE(file.ok());
    const fs::path other = folder / "other.so";
    WriteFile(other, ReadFile(OPENSEND_BINARY_DIR "/plugins_bad/bad_second.so"));
    fs::rename(other, path);
    const auto loaded = Load(**file);
    ASSERT_TRUE(loaded.ok()) << Describe("p", loaded.error());
    EXPECT_EQ(loaded->version, "1");
}

TEST_F(PlacedTest, ASealedCopyIsNeverChanged) {
    policy.sealed = true;
    request.policy = std::make_shared<const GatePolicy>(policy);
    auto file = PassGate(request);
    ASSERT_TRUE(file.ok());
    const int fd = (*file)->fd();
    EXPECT_EQ(pwrite(fd, "x", 1, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(ftruncate(fd, 1), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    // The file on disk may change now.
    Write(std::string(good.size(), 'x'));
    const auto loaded = Load(**file);
    ASSERT_TRUE(loaded.ok()) << Describe("p", loaded.error());
    EXPECT_EQ(loaded->id, "test.bad");
}

TEST_F(PlacedTest, TwoSealedCopiesOfOneFileAreLoadedBesideEachOther) {
    policy.sealed = true;
    request.policy = std::make_shared<const GatePolicy>(policy);
    auto first = PassGate(request), second = PassGate(request);
    const auto a = Load(**first), b = Load(**second);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_NE(a->kinds[0].table, b->kinds[0].table);
}

TEST_F(PlacedTest, WithTrustedKeysASignatureOrAPinIsNeeded) {
    const auto key = crypto::SigningKey::GenerateEd25519();
    const auto stranger = crypto::SigningKey::GenerateEd25519();
    policy.trusted_keys = {PublicKeyText(key.PublicBytes())};
    const std::string refused =
        "p: signature: expected one by a trusted key over this content, id and version, found ";
    EXPECT_EQ(Line(), "p: signature: expected a file p.so.sig, found none to be read");
    Sign(key, good, "1");
    EXPECT_EQ(Line(), "");
    Sign(stranger, good, "1");
    EXPECT_EQ(Line(), refused + "1 others");
    policy.trusted_keys.push_back(PublicKeyText(stranger.PublicBytes()));
    EXPECT_EQ(Line(), "");
    Sign(key, good, "2");
    EXPECT_EQ(Line(), refused + "1 others");
    WriteFile(path.string() + ".sig", "ed25519:AAAA\nnothing\n");
    EXPECT_EQ(Line(), refused + "0 others");
    WriteFile(path.string() + ".sig", std::string(9000, 'x'));
    EXPECT_EQ(Line(), "p: signature: expected a file p.so.sig, found none to be read");
    fs::remove(path.string() + ".sig");
    request.sha256 = base::HexEncode(crypto::Sha256(good));
    EXPECT_EQ(Line(), "");
    request.sha256.clear();
    policy.trusted_keys = {"rsa:AAAA"};
    Sign(key, good, "1");
    EXPECT_THAT(Line(), HasSubstr("expected keys \"ed25519:<base64>\" in plugins.trusted_keys"));
}

TEST_F(PlacedTest, TheSignatureOfAnotherVersionDoesNotFit) {
    const auto key = crypto::SigningKey::GenerateEd25519();
    policy.trusted_keys = {PublicKeyText(key.PublicBytes())};
    Sign(key, good, "1");
    EXPECT_EQ(Line(), "");
    Write(ReadFile(OPENSEND_BINARY_DIR "/plugins_bad/bad_second.so"));
    EXPECT_THAT(Line(), HasSubstr("signature: expected one by a trusted key"));
}

TEST_F(PlacedTest, WhatAPluginAsksForMustBeGiven) {
    Write(ReadFile(OPENSEND_BINARY_DIR "/plugins_bad/bad_grants.so"));
    EXPECT_EQ(Line(), "");
    request.grants.emplace();
    EXPECT_EQ(
        Line(),
        "p: grants: expected plugins.p.grants.http to give https://api.example:443, found "
        "nothing"
    );
    (*request.grants)["http"] = "https://other.example:443";
    EXPECT_THAT(Line(), HasSubstr("found https://other.example:443"));
    (*request.grants)["http"] = "https://other.example:443, https://api.example:443";
    EXPECT_EQ(Line(), "");
}

TEST_F(PlacedTest, AllStepsAreListedAndLaterOnesAnswerAfterAFailure) {
    chmod(path.c_str(), 0666);
    request.sha256 = std::string(64, '0');
    const auto steps = RunGate(request);
    std::string shown;
    for (const GateStep& step : steps) shown += base::Cat(step.ok ? "" : "!", step.id, ' ');
    EXPECT_EQ(
        shown,
        "name open !file size !sha256 signature note grants elf stack code textrel rpath relro now "
        "needed glibc unique exports "
    );
}

TEST_F(PlacedTest, AConfigurationIsCheckedBeforeItsInstanceIsMade) {
    Write(ReadFile(OPENSEND_BINARY_DIR "/plugins_bad/bad_schema.so"));
    config.dir = folder;
    config.plugins.push_back({"p", "", "", false, "{}"});
    config.transports = {
        {"none", "", "p", "{}"                             },
        {"text", "", "p", R"({"region":"eu","size":"big"})"},
        {"good", "", "p", R"({"region":"eu","size":"3"})"  }
    };
    const Host checked(config, deps);
    const auto states = checked.transports();
    EXPECT_EQ(states[0].problem, "transport.none: config: expected a value at region, found none");
    EXPECT_EQ(states[1].problem, "transport.text: config: expected integer at size, found string");
    EXPECT_TRUE(states[2].up) << states[2].problem;
}

}  // namespace
}  // namespace opensend::plugin
