#include "kernel/blob/fs_blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"

namespace opensend::blob {
namespace {

constexpr auto kTemporaryLife = std::chrono::hours(24);

[[noreturn]] void Fail(std::string_view what, const std::string& path, int error) {
    const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    throw base::Unavailable(
        full ? "storage_full" : "storage_failed",
        base::Cat(what, ' ', path, ": ", std::system_category().message(error))
    );
}

/// An open file, closed at the end of the scope.
class File {
public:
    File(const std::string& path, int flags) : path_(path) {
        do {
            fd_ = open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
        } while (fd_ < 0 && errno == EINTR);
    }
    ~File() {
        if (fd_ >= 0) close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    bool is_open() const { return fd_ >= 0; }
    size_t Size() const {
        struct stat info {};
        if (fstat(fd_, &info) != 0) Fail("stat", path_, errno);
        return static_cast<size_t>(info.st_size);
    }
    void Write(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto written = write(fd_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) Fail("write", path_, errno);
            bytes.remove_prefix(static_cast<size_t>(written));
        }
    }
    std::string ReadAll() {
        std::string bytes(Size(), '\0');
        size_t at = 0;
        while (at < bytes.size()) {
            const auto got = read(fd_, bytes.data() + at, bytes.size() - at);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) Fail("read", path_, errno);
            if (got == 0) break;
            at += static_cast<size_t>(got);
        }
        bytes.resize(at);
        return bytes;
    }
    void Sync() {
        if (fsync(fd_) != 0) Fail("fsync", path_, errno);
    }

private:
    const std::string& path_;
    int fd_ = -1;
};

void SyncFolder(const std::string& path) {
    File folder(path, O_RDONLY | O_DIRECTORY);
    if (!folder.is_open()) Fail("open", path, errno);
    folder.Sync();
}

/// True when the folder is new.
bool MakeFolder(const std::string& path) {
    if (mkdir(path.c_str(), S_IRWXU) == 0) return true;
    if (errno != EEXIST) Fail("mkdir", path, errno);
    return false;
}

}  // namespace

FsBlobStore::FsBlobStore(std::string folder, Sha256 sha256)
    : folder_(std::move(folder)), sha256_(std::move(sha256)) {
    MakeFolder(folder_);
    MakeFolder(folder_ + "/tmp");
    SyncFolder(folder_);
    ClearTemporary();
}

std::string FsBlobStore::Put(std::string_view bytes) {
    const std::string key = base::HexEncode(sha256_(bytes));
    OPENSEND_CHECK(IsBlobKey(key), "the digest has 32 bytes");
    const std::string folder = FolderOf(key);
    const std::string path = PathOf(key);
    if (MakeFolder(folder)) SyncFolder(folder_);
    struct stat info {};
    const bool known = lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
                       static_cast<size_t>(info.st_size) == bytes.size();
    if (!known) {
        const std::string temporary = TemporaryPath();
        try {
            File file(temporary, O_WRONLY | O_CREAT | O_EXCL);
            if (!file.is_open()) Fail("create", temporary, errno);
            file.Write(bytes);
            file.Sync();
            if (rename(temporary.c_str(), path.c_str()) != 0) Fail("rename", path, errno);
        } catch (const base::Error&) {
            unlink(temporary.c_str());
            throw;
        }
    }
    // Also for a known blob: whoever wrote it may not have come this far.
    SyncFolder(folder);
    return key;
}

std::optional<std::string> FsBlobStore::Find(std::string_view key) const {
    if (!IsBlobKey(key)) return std::nullopt;
    const std::string path = PathOf(key);
    File file(path, O_RDONLY);
    if (!file.is_open() && errno == ENOENT) return std::nullopt;
    if (!file.is_open()) Fail("open", path, errno);
    std::string bytes = file.ReadAll();
    if (base::HexEncode(sha256_(bytes)) != key) throw base::Unavailable("blob_corrupt", path);
    return bytes;
}

bool FsBlobStore::Exists(std::string_view key) const {
    if (!IsBlobKey(key)) return false;
    const std::string path = PathOf(key);
    struct stat info {};
    if (lstat(path.c_str(), &info) == 0) return S_ISREG(info.st_mode);
    if (errno != ENOENT) Fail("stat", path, errno);
    return false;
}

void FsBlobStore::Remove(std::string_view key) {
    if (!IsBlobKey(key)) return;
    const std::string path = PathOf(key);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) Fail("remove", path, errno);
}

std::string FsBlobStore::FolderOf(std::string_view key) const {
    return base::Cat(folder_, '/', key.substr(0, 2));
}

std::string FsBlobStore::PathOf(std::string_view key) const {
    return base::Cat(FolderOf(key), '/', key);
}

std::string FsBlobStore::TemporaryPath() {
    // Unique among processes that live now; O_EXCL refuses what a dead one left, the next fits.
    for (;;) {
        std::string path = base::Cat(folder_, "/tmp/", getpid(), '-', ++written_);
        if (access(path.c_str(), F_OK) != 0) return path;
    }
}

void FsBlobStore::ClearTemporary() const {
    std::error_code failed;
    const auto now = std::filesystem::file_time_type::clock::now();
    for (std::filesystem::directory_iterator at(folder_ + "/tmp", failed), end;
         !failed && at != end; at.increment(failed)) {
        std::error_code ignored;
        const auto written = at->last_write_time(ignored);
        if (!ignored && now - written > kTemporaryLife) std::filesystem::remove(*at, ignored);
    }
}

}  // namespace opensend::blob
