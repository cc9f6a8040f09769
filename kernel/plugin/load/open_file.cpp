#include "kernel/plugin/load/open_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <linux/openat2.h>

namespace opensend::plugin {
namespace {

constexpr off_t kMaxFile = 64 * 1024 * 1024;
constexpr int kMaxFolders = 256;

std::string ReasonOf(int error) {
    std::array<char, 256> buffer{};
    return strerror_r(error, buffer.data(), buffer.size());
}

std::string ModeText(mode_t mode) {
    std::string out = "mode 0";
    for (int shift = 6; shift >= 0; shift -= 3)
        out += static_cast<char>('0' + ((mode >> shift) & 7u));
    return out;
}

std::string PlaceOf(int fd) {
    std::array<char, 4096> buffer{};
    const ssize_t length =
        readlink(base::Cat("/proc/self/fd/", fd).c_str(), buffer.data(), buffer.size());
    return length > 0 ? std::string(buffer.data(), static_cast<size_t>(length)) : "a folder";
}

int OpenAt2(int folder, const std::string& name, int flags) {
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    for (;;) {
        const long fd = syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how);
        // EAGAIN: a rename elsewhere made the kernel unsure whether we left the folder.
        if (fd >= 0 || (errno != EINTR && errno != EAGAIN)) return static_cast<int>(fd);
    }
}

base::Failure<Problem> CannotOpen(int error) {
    if (error == ELOOP) return Refuse("open", "a regular file", "a symbolic link");
    if (error == EXDEV) return Refuse("open", "a file below plugins.dir", "a path that leaves it");
    return Refuse("open", "a readable file", ReasonOf(error));
}

/// Only root or we may be able to change what `status` describes.
std::optional<Problem> CheckOwner(
    const struct stat& status, std::string_view step, const std::string& place
) {
    if (status.st_uid != 0 && status.st_uid != geteuid())
        return Problem{
            std::string(step), "owner root or this process's user",
            base::Cat("user ", status.st_uid, place)};
    if ((status.st_mode & 022u) != 0)
        return Problem{
            std::string(step), "nobody else may write", base::Cat(ModeText(status.st_mode), place)};
    return std::nullopt;
}

std::optional<Problem> CheckFolder(int fd, const struct stat& status, bool holds_the_file) {
    struct stat checked = status;
    // In a sticky folder an entry is renamed and removed by its owner, whom the level below names.
    if (!holds_the_file && (status.st_mode & S_ISVTX) != 0)
        checked.st_mode &= ~static_cast<mode_t>(022);
    return CheckOwner(checked, "folder", base::Cat(" of ", PlaceOf(fd)));
}

std::optional<Problem> CheckFolders(int folder) {
    Descriptor at(openat(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat status {};
    for (int level = 0; level < kMaxFolders; ++level) {
        struct stat last = std::exchange(status, {});
        if (at.get() < 0 || fstat(at.get(), &status) != 0)
            return Problem{"folder", "folders that can be looked at", ReasonOf(errno)};
        const bool is_root =
            level > 0 && last.st_dev == status.st_dev && last.st_ino == status.st_ino;
        if (is_root) return std::nullopt;
        if (auto problem = CheckFolder(at.get(), status, level == 0)) return problem;
        at = Descriptor(openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    return Problem{"folder", base::Cat("at most ", kMaxFolders, " folders above the file"), "more"};
}

/// The path seen from `dir`; an absolute one elsewhere stays absolute and is refused when opened.
std::string RelativeTo(const std::string& dir, const std::string& path) {
    const std::string prefix = dir.back() == '/' ? dir : dir + "/";
    if (path.compare(0, prefix.size(), prefix) != 0) return path;
    const size_t start = path.find_first_not_of('/', prefix.size());
    return start == std::string::npos ? std::string() : path.substr(start);
}

}  // namespace

Checked<OpenedFile> OpenBelow(const std::string& dir, const std::string& path) {
    const size_t last = path.rfind('/');
    std::string top = dir;
    if (top.empty()) top = last == std::string::npos ? "." : last == 0 ? "/" : path.substr(0, last);
    const std::string relative = dir.empty() ? path.substr(last + 1) : RelativeTo(dir, path);
    OpenedFile out;
    out.folder = Descriptor(open(top.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (out.folder.get() < 0) return CannotOpen(errno);
    const size_t slash = relative.rfind('/');
    out.name = relative.substr(slash + 1);
    if (slash != std::string::npos) {
        // "/x" leaves the folder as much as "../x" does.
        const std::string between = slash == 0 ? "/" : relative.substr(0, slash);
        Descriptor inner(OpenAt2(out.folder.get(), between, O_PATH | O_DIRECTORY));
        if (inner.get() < 0) return CannotOpen(errno);
        out.folder = std::move(inner);
    }
    if (out.name.empty()) return Refuse("open", "the name of a file", "none");
    // O_NONBLOCK: a pipe in the file's place must not hold us up.
    out.file = Descriptor(
        OpenAt2(out.folder.get(), out.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
    );
    if (out.file.get() < 0) return CannotOpen(errno);
    struct stat status {};
    if (fstat(out.file.get(), &status) != 0) return CannotOpen(errno);
    if (!S_ISREG(status.st_mode)) return Refuse("open", "a regular file", "something else");
    return out;
}

std::optional<Problem> CheckOwners(const OpenedFile& opened) {
    struct stat status {};
    if (fstat(opened.file.get(), &status) != 0)
        return Problem{"file", "a readable file", ReasonOf(errno)};
    if (auto problem = CheckOwner(status, "file", "")) return problem;
    if (status.st_nlink != 1)
        return Problem{"file", "no hard link to it", base::Cat(status.st_nlink, " names")};
    return CheckFolders(opened.folder.get());
}

Checked<std::string> ReadContent(int fd) {
    struct stat status {};
    if (fstat(fd, &status) != 0) return Refuse("size", "a readable file", ReasonOf(errno));
    if (status.st_size > kMaxFile)
        return Refuse("size", "at most 64 MB", base::Cat(status.st_size, " bytes"));
    std::string bytes(static_cast<size_t>(status.st_size), '\0');
    size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t got =
            pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return Refuse(
                "size", base::Cat(status.st_size, " bytes"), base::Cat(done, " bytes when read")
            );
        done += static_cast<size_t>(got);
    }
    return bytes;
}

std::optional<std::string> ReadBeside(
    const OpenedFile& opened, const std::string& name, size_t limit
) {
    const Descriptor file(
        OpenAt2(opened.folder.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
    );
    struct stat status {};
    if (file.get() < 0 || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
    if (status.st_size < 0 || static_cast<size_t>(status.st_size) > limit) return {};
    auto content = ReadContent(file.get());
    if (!content.ok()) return {};
    return std::move(*content);
}

Checked<Descriptor> SealedCopy(std::string_view bytes) {
    Descriptor copy(memfd_create("opensend-plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (copy.get() < 0) return Refuse("seal", "memory for a sealed copy", ReasonOf(errno));
    size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t put = write(copy.get(), bytes.data() + done, bytes.size() - done);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return Refuse("seal", "memory for a sealed copy", ReasonOf(errno));
        done += static_cast<size_t>(put);
    }
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (fcntl(copy.get(), F_ADD_SEALS, seals) != 0)
        return Refuse("seal", "a copy that nobody can change", ReasonOf(errno));
    return copy;
}

}  // namespace opensend::plugin
