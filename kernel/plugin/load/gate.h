#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel/plugin/load/descriptor.h"
#include "kernel/plugin/load/note.h"
#include "kernel/plugin/load/policy.h"
#include "kernel/plugin/load/problem.h"

namespace opensend::plugin {

/// A file that passed the gate: the descriptor of the bytes that were checked and what they say of
/// themselves.
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
    const std::string& sha256() const { return sha256_; }  // hexadecimal
    void SetDigest(std::string sha256) { sha256_ = std::move(sha256); }
    /// Another process loaded these very bytes before and nothing happened.
    bool scanned() const { return scanned_; }
    void SetScanned() { scanned_ = true; }
    /// From now on a sealed copy of the same bytes.
    void Exchange(Descriptor sealed);
    /// The descriptor stays open for the life of the process: the loaded object's name is its path.
    void KeepOpen() { keep_ = true; }

private:
    int fd_;
    bool keep_ = false, scanned_ = false;
    Note note_;
    Manifest manifest_;
    std::string sha256_;
};

/// Takes a file through every step up to where this process would load it. Nothing of it runs here;
/// with a scan program it is loaded in a process that may die of it.
Checked<std::unique_ptr<PluginFile>> PassGate(const GateRequest& request);
/// The same without a policy: a file on its own, pinned unless `sha256` is empty.
Checked<std::unique_ptr<PluginFile>> PassGate(const std::string& path, const std::string& sha256);

/// Takes over the descriptor of a file that passed the gate in another process, and reads once more
/// what it says of itself.
Checked<std::unique_ptr<PluginFile>> TakeDescriptor(int fd);

/// The same steps as a list, in their order: "name", "open", "owner", "size", "sha256",
/// "signature", "note", "grants", "elf" and those of CheckHygiene, "scan", "seal". A failed step
/// has the name that its problem has. Goes on after a failure where later steps can still be
/// answered; what is not in the list was not looked at. Never loads a file that failed.
std::vector<GateStep> RunGate(const GateRequest& request);

}  // namespace opensend::plugin
