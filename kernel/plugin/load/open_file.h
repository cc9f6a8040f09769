#pragma once

#include <optional>
#include <string>

#include "kernel/plugin/load/descriptor.h"
#include "kernel/plugin/load/problem.h"

namespace opensend::plugin {

/// A plugin file and the folder that holds it. What is asked of either is asked of the descriptor,
/// so that nothing can be exchanged in between.
struct OpenedFile {
    Descriptor file, folder;
    std::string name;  // within the folder
};

/// Opens `path`, which lies below `dir`, without following a symbolic link on the way from there.
/// An empty `dir` is the folder of the path.
Checked<OpenedFile> OpenBelow(const std::string& dir, const std::string& path);

/// Only root and this process's user can change the file or exchange one of its folders up to the
/// root. A folder where everybody may write is good when it is sticky and does not hold the file
/// itself.
std::optional<Problem> CheckOwners(const OpenedFile& opened);

/// The whole content, at most 64 MB.
Checked<std::string> ReadContent(int fd);

/// A small file beside the plugin; nullopt: it is not there, no regular file, or longer.
std::optional<std::string> ReadBeside(
    const OpenedFile& opened, const std::string& name, size_t limit
);

/// A copy of the bytes in memory that can be mapped and never changed.
Checked<Descriptor> SealedCopy(std::string_view bytes);

}  // namespace opensend::plugin
