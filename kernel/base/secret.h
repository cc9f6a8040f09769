#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace opensend::base {

/// Bytes that can be used but not printed, compared with == or copied by accident; wiped at the
/// end.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string bytes) : bytes_(std::move(bytes)) {}
    Secret(Secret&& other) noexcept : bytes_(std::move(other.bytes_)) { other.Wipe(); }
    Secret& operator=(Secret&& other) noexcept {
        if (this != &other) {
            Wipe();
            bytes_ = std::move(other.bytes_);
            other.Wipe();
        }
        return *this;
    }
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { Wipe(); }

    /// The bytes; the caller neither stores nor logs them.
    std::string_view Reveal() const { return bytes_; }
    Secret Clone() const { return Secret(std::string(bytes_)); }
    bool empty() const { return bytes_.empty(); }
    size_t size() const { return bytes_.size(); }

    friend bool operator==(const Secret&, const Secret&) = delete;

private:
    void Wipe() noexcept {
        if (!bytes_.empty()) explicit_bzero(bytes_.data(), bytes_.size());
        bytes_.clear();
    }
    std::string bytes_;
};

}  // namespace opensend::base
