#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernel/plugin/load/policy.h"
#include "kernel/plugin/load/problem.h"

namespace opensend::plugin {

/// What the dynamic loader would find in a file, read from its bytes alone.
struct ElfFacts {
    bool has_stack_header = false, executable_stack = false;
    bool writable_code = false;  // a segment that is mapped writable and executable
    bool textrel = false, relro = false, now = false;
    std::string search_path;                  // DT_RPATH or DT_RUNPATH
    std::vector<std::string> needed;          // libraries it brings in
    std::vector<std::string> glibc_versions;  // "GLIBC_2.34", "GLIBC_PRIVATE"
    std::vector<std::string> exports;         // what others can look up
    std::vector<std::string> unique;          // those that can never be unloaded
};

/// Reads a file that passed CheckElf. Refuses tables outside of the bytes, and segments that the
/// loader would map differently from how they are read here.
Checked<ElfFacts> ReadElf(std::string_view file);

struct ElfRules {
    std::vector<std::string> allowed_libraries;  // beside the C and C++ runtime and OpenSSL
    int glibc_major = 2, glibc_minor = 0;        // the newest that is there
};
/// The running system's C library with `libraries` allowed in addition.
ElfRules RulesHere(std::vector<std::string> libraries);

/// One step per rule: "stack", "code", "textrel", "rpath", "relro", "now", "needed", "glibc",
/// "unique", "exports".
std::vector<GateStep> CheckHygiene(const ElfFacts& facts, const ElfRules& rules);

}  // namespace opensend::plugin
