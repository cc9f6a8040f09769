#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace opensend::blob {

/// Bytes under the SHA-256 of their content. Thread-safe, also between processes. Who still refers
/// to a blob is the caller's book-keeping. Failures of the medium throw base::Error
/// (service_unavailable: storage_full, storage_failed, blob_corrupt).
class BlobStore {
public:
    virtual ~BlobStore() = default;
    /// Returns the key, 64 lower-case hex digits, once the bytes are on stable storage.
    virtual std::string Put(std::string_view bytes) = 0;
    /// nullopt: no such blob, or no key. The content is checked against its key.
    virtual std::optional<std::string> Find(std::string_view key) const = 0;
    virtual bool Exists(std::string_view key) const = 0;
    /// Nothing happens when there is no such blob.
    virtual void Remove(std::string_view key) = 0;

    /// Find, but absence throws base::NotFound.
    std::string Get(std::string_view key) const;
};

/// 64 digits of lower-case hex.
bool IsBlobKey(std::string_view text);

}  // namespace opensend::blob
