#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "kernel/plugin/check/check.h"

namespace opensend::plugin_check {

/// A file of this build: "plugins/smtp.so", "plugins_bad/defect.so".
inline std::string Built(const std::string& name) {
    const auto self = std::filesystem::read_symlink("/proc/self/exe");
    for (auto folder = self.parent_path(); folder != folder.root_path();
         folder = folder.parent_path()) {
        if (std::filesystem::exists(folder / name)) return (folder / name).string();
    }
    ADD_FAILURE() << name << " was not built";
    return name;
}

inline std::set<std::string> FailedIds(const Report& report) {
    std::set<std::string> ids;
    for (const Line& line : report.lines)
        if (line.verdict == Verdict::kFail) ids.insert(line.id);
    return ids;
}

/// The plugin under test does what the variable names wrong, as long as this lives.
class Defect {
public:
    explicit Defect(const std::string& name) { setenv("OPENSEND_DEFECT", name.c_str(), 1); }
    ~Defect() { unsetenv("OPENSEND_DEFECT"); }
    Defect(const Defect&) = delete;
    Defect& operator=(const Defect&) = delete;
};

}  // namespace opensend::plugin_check
