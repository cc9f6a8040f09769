#include "kernel/http/body.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace opensend::http {

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
        fd_ = ::open(rules.folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
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
