#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>

#include "kernel/blob/blob_store.h"

namespace opensend::blob {

/// Files <folder>/<first two digits>/<key>, mode 0600, written under a temporary name in
/// <folder>/tmp first: a file with its final name is whole.
class FsBlobStore final : public BlobStore {
public:
    /// 32 bytes of digest.
    using Sha256 = std::function<std::string(std::string_view)>;

    /// Makes the folder (0700) and clears temporary files that a crash left a day ago or earlier.
    FsBlobStore(std::string folder, Sha256 sha256);

    std::string Put(std::string_view bytes) override;
    std::optional<std::string> Find(std::string_view key) const override;
    bool Exists(std::string_view key) const override;
    void Remove(std::string_view key) override;

private:
    std::string FolderOf(std::string_view key) const;
    std::string PathOf(std::string_view key) const;
    std::string TemporaryPath();
    void ClearTemporary() const;

    const std::string folder_;
    const Sha256 sha256_;
    std::atomic<uint64_t> written_{0};
};

}  // namespace opensend::blob
