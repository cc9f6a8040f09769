#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/base/text.h"
#include "kernel/runtime/config.h"

namespace opensend::runtime {

/// A folder of its own, sources that read nothing else, and problems as "NAME: code" lines.
class ConfigFixture : public ::testing::Test {
protected:
    ConfigFixture() {
        char name[] = "/tmp/opensend_config_XXXXXX";
        dir_ = ::mkdtemp(name);
        sources_.environment["OPENSEND_DATA_DIR"] = dir_ + "/data";
        Write("opensend.properties", "");
        sources_.file = dir_ + "/opensend.properties";
    }
    ~ConfigFixture() override { std::filesystem::remove_all(dir_); }

    std::string Write(const std::string& name, const std::string& text, mode_t mode = 0600) {
        const std::string path = dir_ + "/" + name;
        std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
        ::chmod(path.c_str(), mode);
        return path;
    }
    void File(const std::string& text) { Write("opensend.properties", text); }
    void Env(const std::string& name, const std::string& value) {
        sources_.environment[name] = value;
    }
    void Strict() {
        Env("OPENSEND_URL", "https://mail.example.com");
        ::mkdir((dir_ + "/data").c_str(), 0700);
        Env("BETTER_AUTH_SECRET", kA);
        Env("WEBHOOK_SECRET_ENCRYPTION_KEY", kB);
        Env("INGESTER_JOB_TOKEN", kC);
        Env("INGESTER_INBOUND_TOKEN", kD);
    }
    Config Load() {
        auto loaded = Config::Load(sources_);
        if (!loaded.ok()) ADD_FAILURE() << FormatProblems(loaded.error());
        return std::move(loaded).value();
    }
    std::vector<std::string> Problems() {
        const auto loaded = Config::Load(sources_);
        std::vector<std::string> out;
        if (loaded.ok()) return out;
        for (const auto& problem : loaded.error()) {
            out.push_back(base::Cat(problem.name, ": ", problem.code));
        }
        return out;
    }
    std::string Text() {
        const auto loaded = Config::Load(sources_);
        return loaded.ok() ? std::string() : FormatProblems(loaded.error());
    }

    static constexpr const char* kA =
        "b8e2f1c04d7a9635e8b1c2d3f4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687";
    static constexpr const char* kB =
        "1f2e3d4c5b6a79880716253443526170f9e8d7c6b5a4938271605f4e3d2c1b0a";
    static constexpr const char* kC =
        "c0ffee11d00dfeed22beadcafe33f00dbabe44deaf55dead66face77b00c88aa";
    static constexpr const char* kD =
        "9a8b7c6d5e4f30211203f4e5d6c7b8a99b8a7d6c5f4e31201302e5f4c7d6a9b8";

    std::string dir_;
    ConfigSources sources_;
};

}  // namespace opensend::runtime
