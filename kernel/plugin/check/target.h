#pragma once

#include <optional>
#include <string>
#include <vector>

namespace opensend::plugin_check {

/// The file under test.
struct Target {
    std::string path, bytes, manifest;  // the manifest is empty when the note cannot be read
    std::vector<std::string> kinds;     // "<interface>:<name>"
    std::string scratch;                // a folder that goes away
    std::string config;                 // of every kind; empty: what the manifest or schema says
};

/// Reads a regular file of at most 64 MB; nullopt with the reason in `problem`. Runs nothing of it.
std::optional<Target> ReadTarget(
    const std::string& path, const std::string& scratch, std::string& problem
);

/// A new folder that is removed with everything in it.
class Scratch {
public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    const std::string& path() const { return path_; }  // empty: there is none

private:
    std::string path_;
};

}  // namespace opensend::plugin_check
