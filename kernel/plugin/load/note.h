#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/plugin/load/problem.h"

namespace opensend::plugin {

/// Passes a 64-bit little-endian shared object for this machine whose parts all lie within the
/// bytes.
Checked<bool> CheckElf(std::string_view file);

/// The note a plugin carries, as it stands in the file.
struct Note {
    uint16_t abi_major = 0, abi_minor = 0, min_host_minor = 0;
    std::string json;  // ≤ 64 KB
};

/// What follows the head of each of our notes in a file that passed CheckElf.
std::vector<std::string_view> NoteDescriptions(std::string_view file);

/// Reads the note of a file that passed CheckElf, without running anything of it.
Checked<Note> ReadNote(std::string_view file);

/// What the JSON of the note says.
struct Manifest {
    std::string id, version;
    std::vector<std::string> kinds;      // "<interface>:<name>"
    std::vector<std::string> isolation;  // "inproc", "worker": where it can run; empty: in both
};
Checked<Manifest> ParseManifest(std::string_view json);

}  // namespace opensend::plugin
