#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace opensend::plugin {

/// What the operator asks of every plugin file (settings plugins.*).
struct GatePolicy {
    std::string dir{};                             // plugins.dir; empty: the folder of the file
    std::vector<std::string> trusted_keys{};       // "ed25519:<base64>"
    std::vector<std::string> allowed_libraries{};  // beside those every plugin may need
    std::vector<std::string> experimental{};       // "foo" allows the interfaces "x-opensend.foo/N"
    bool sealed = false;                           // load from a copy in memory that nobody changes
    /// Program and first arguments of the process that loads a new file first; empty: none does.
    std::vector<std::string> scan_program{};
    std::chrono::milliseconds scan_timeout{5'000};
    std::string verdicts{};  // folder that remembers what a scan found; empty: nothing does
    std::string server_version{};
};

/// One file that wants to be loaded.
struct GateRequest {
    std::string name, path;
    std::string sha256{};           // pinned, hexadecimal; empty: not
    std::optional<bool> enabled{};  // stands in plugins.enabled; nullopt: nobody asks
    /// plugins.<name>.grants.*; nullopt: what the manifest asks for is not compared.
    std::optional<std::map<std::string, std::string>> grants{};
    std::shared_ptr<const GatePolicy> policy{};  // null: the defaults
};

/// One step of the gate and how it ended; `expected` is empty when it passed.
struct GateStep {
    std::string id;
    bool ok = false;
    std::string expected, found;
};

}  // namespace opensend::plugin
