#include "kernel/plugin/load/gate.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "kernel/base/encoding.h"
#include "kernel/crypto/digest.h"

namespace opensend::plugin {
namespace {

constexpr off_t kMaxFile = 64 * 1024 * 1024;

std::string ModeText(mode_t mode) {
    std::string out = "mode 0";
    for (int shift = 6; shift >= 0; shift -= 3)
        out += static_cast<char>('0' + ((mode >> shift) & 7u));
    return out;
}

/// Only root or we may be able to change what `status` describes.
std::optional<Problem> CheckOwner(const struct stat& status, std::string_view step) {
    if (status.st_uid != 0 && status.st_uid != geteuid())
        return Problem{
            std::string(step), "owner root or this process's user",
            base::Cat("user ", status.st_uid)};
    if ((status.st_mode & 022u) != 0)
        return Problem{std::string(step), "nobody else may write", ModeText(status.st_mode)};
    return std::nullopt;
}

std::optional<Problem> CheckParent(const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "."
                               : slash == 0               ? "/"
                                                          : path.substr(0, slash);
    struct stat status {};
    if (stat(parent.c_str(), &status) != 0)
        return Problem{"folder", "a readable folder", std::strerror(errno)};
    return CheckOwner(status, "folder");
}

Checked<std::string> ReadAll(int fd, off_t size) {
    std::string bytes(static_cast<size_t>(size), '\0');
    size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t got =
            pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return Refuse("read", base::Cat(size, " bytes"), base::Cat(done, " bytes"));
        done += static_cast<size_t>(got);
    }
    return bytes;
}

Checked<int> OpenRegular(const std::string& path) {
    // O_NONBLOCK: a pipe in the file's place must not hold us up.
    const int fd = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) return fd;
    if (errno == ELOOP) return Refuse("open", "a regular file", "a symbolic link");
    return Refuse("open", "a readable file", std::strerror(errno));
}

Checked<std::string> ReadChecked(int fd, const std::string& path, const std::string& sha256) {
    struct stat status {};
    if (fstat(fd, &status) != 0) return Refuse("open", "a readable file", std::strerror(errno));
    if (!S_ISREG(status.st_mode)) return Refuse("open", "a regular file", "something else");
    if (auto problem = CheckOwner(status, "file")) return base::Failure{std::move(*problem)};
    if (auto problem = CheckParent(path)) return base::Failure{std::move(*problem)};
    if (status.st_size > kMaxFile)
        return Refuse("size", "at most 64 MB", base::Cat(status.st_size, " bytes"));
    auto bytes = ReadAll(fd, status.st_size);
    if (bytes.ok() && !sha256.empty()) {
        const std::string digest = base::HexEncode(crypto::Sha256(*bytes));
        if (!base::EqualsIgnoreCase(digest, sha256)) return Refuse("sha256", sha256, digest);
    }
    return bytes;
}

}  // namespace

void PluginFile::Describe(Note note, Manifest manifest) {
    note_ = std::move(note);
    manifest_ = std::move(manifest);
}

PluginFile::~PluginFile() {
    if (!keep_) close(fd_);
}

Checked<std::unique_ptr<PluginFile>> PassGate(const std::string& path, const std::string& sha256) {
    const auto fd = OpenRegular(path);
    if (!fd.ok()) return base::Failure{fd.error()};
    auto file = std::make_unique<PluginFile>(*fd);
    const auto bytes = ReadChecked(*fd, path, sha256);
    if (!bytes.ok()) return base::Failure{bytes.error()};
    const auto elf = CheckElf(*bytes);
    if (!elf.ok()) return base::Failure{elf.error()};
    auto note = ReadNote(*bytes);
    if (!note.ok()) return base::Failure{note.error()};
    auto manifest = ParseManifest(note->json);
    if (!manifest.ok()) return base::Failure{manifest.error()};
    file->Describe(std::move(*note), std::move(*manifest));
    return file;
}

}  // namespace opensend::plugin
