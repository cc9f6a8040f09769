#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace opensend::http {

/// When and where a body leaves memory.
struct SpoolRules {
    std::string folder;             // empty: it never does
    size_t threshold = 256 * 1024;  // longer bodies go to a file
};

/// The bytes of a request body: in memory while they are few, beyond that in a file without a name,
/// which is gone with the object or the process. One thread at a time.
class Body {
public:
    Body() = default;
    explicit Body(std::string text) : text_(std::move(text)), size_(text_.size()) {}
    ~Body();
    Body(Body&& other) noexcept { *this = std::move(other); }
    Body& operator=(Body&& other) noexcept;

    void Reserve(size_t bytes) { text_.reserve(bytes); }
    /// False when the file could not be made or written: the body is useless then.
    bool Append(std::string_view piece, const SpoolRules& rules);
    /// All bytes; valid until the next Append or the end of the object. False in `ok` when the file
    /// cannot be read.
    std::string_view View(bool* ok = nullptr);
    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    bool in_file() const { return fd_ >= 0; }

private:
    bool Write(std::string_view piece);
    void Release();

    std::string text_;
    size_t size_ = 0;
    int fd_ = -1;
    void* map_ = nullptr;
};

}  // namespace opensend::http
