#include "kernel/http/body.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace opensend::http {
namespace {

/// A file without a name; -1 with errno when there can be none.
int OpenNameless(const std::string& folder) {
    const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
    // A file system that knows no such files: the name goes at once.
    std::string path = folder + "/body-" + std::string(6, 'X');
    const int named = ::mkostemp(path.data(), O_CLOEXEC);
    if (named >= 0) ::unlink(path.c_str());
    return named;
}

}  // namespace

Body::~Body() { Release(); }

Body& Body::operator=(Body&& other) noexcept {
    if (this == &other) return *this;
    Release();
    text_ = std::move(other.text_);
    other.text_.clear();
    size_ = std::exchange(other.size_, 0);
    fd_ = std::exchange(other.fd_, -1);
    map_ = std::exchange(other.map_, nullptr);
    return *this;
}

void Body::Release() {
    if (map_ != nullptr) ::munmap(map_, size_);
    if (fd_ >= 0) ::close(fd_);
    map_ = nullptr;
    fd_ = -1;
}

bool Body::Append(std::string_view piece, const SpoolRules& rules) {
    if (map_ != nullptr) {
        ::munmap(map_, size_);
        map_ = nullptr;
    }
    if (fd_ < 0 && !rules.folder.empty() && size_ + piece.size() > rules.threshold) {
        fd_ = OpenNameless(rules.folder);
        if (fd_ < 0 || !Write(text_)) return false;
        std::string().swap(text_);
    }
    if (fd_ >= 0 ? !Write(piece) : (text_.append(piece), false)) return false;
    size_ += piece.size();
    return true;
}

bool Body::Write(std::string_view piece) {
    while (!piece.empty()) {
        const ssize_t written = ::write(fd_, piece.data(), piece.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        piece.remove_prefix(static_cast<size_t>(written));
    }
    return true;
}

std::string_view Body::View(bool* ok) {
    if (ok != nullptr) *ok = true;
    if (fd_ < 0) return text_;
    if (map_ == nullptr) {
        map_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd_, 0);
        if (map_ == MAP_FAILED) {
            map_ = nullptr;
            if (ok != nullptr) *ok = false;
            return {};
        }
    }
    return {static_cast<const char*>(map_), size_};
}

}  // namespace opensend::http
