#include "kernel/plugin/check/target.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "kernel/plugin/load/note.h"

namespace opensend::plugin_check {
namespace {

constexpr size_t kMaxFileBytes = 64u * 1024 * 1024;

/// The bytes of a regular file that may be looked at.
std::optional<std::string> BytesOf(const std::string& path, std::string& problem) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
        problem = std::strerror(errno);
        return std::nullopt;
    }
    if (!S_ISREG(status.st_mode) || static_cast<size_t>(status.st_size) > kMaxFileBytes) {
        problem = "not a regular file of at most 64 MB";
        return std::nullopt;
    }
    std::ifstream file(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), {});
    if (!file) problem = "it cannot be read";
    return problem.empty() ? std::optional(std::move(bytes)) : std::nullopt;
}

}  // namespace

std::optional<Target> ReadTarget(
    const std::string& path, const std::string& scratch, std::string& problem
) {
    auto bytes = BytesOf(path, problem);
    if (bytes && scratch.empty()) problem = "there is no folder for the files of the checks";
    if (!bytes || scratch.empty()) return std::nullopt;
    Target target{path, std::move(*bytes), {}, {}, scratch, {}};
    if (!plugin::CheckElf(target.bytes).ok()) return target;
    const auto note = plugin::ReadNote(target.bytes);
    if (!note.ok()) return target;
    const auto manifest = plugin::ParseManifest(note->json);
    if (!manifest.ok()) return target;
    target.manifest = note->json;
    target.kinds = manifest->kinds;
    return target;
}

Scratch::Scratch()
    : path_((std::filesystem::temp_directory_path() / "opensend-check-XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
}

Scratch::~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace opensend::plugin_check
