#pragma once

#include <memory>
#include <string>

#include "kernel/plugin/load/note.h"
#include "kernel/plugin/load/problem.h"

namespace opensend::plugin {

/// A file that passed the gate: the descriptor it was read from and what it says of itself.
class PluginFile {
public:
    explicit PluginFile(int fd) : fd_(fd) {}
    ~PluginFile();
    PluginFile(const PluginFile&) = delete;
    PluginFile& operator=(const PluginFile&) = delete;

    void Describe(Note note, Manifest manifest);
    int fd() const { return fd_; }
    const Note& note() const { return note_; }
    const Manifest& manifest() const { return manifest_; }
    /// The descriptor stays open for the life of the process: the loaded object's name is its path.
    void KeepOpen() { keep_ = true; }

private:
    int fd_;
    bool keep_ = false;
    Note note_;
    Manifest manifest_;
};

/// Opens a file nobody else can change and checks owner, mode, size, digest, ELF and manifest.
/// Nothing of it runs. `sha256` is hexadecimal; empty: not pinned.
Checked<std::unique_ptr<PluginFile>> PassGate(const std::string& path, const std::string& sha256);

}  // namespace opensend::plugin
