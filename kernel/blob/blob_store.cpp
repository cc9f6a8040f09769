#include "kernel/blob/blob_store.h"

#include <algorithm>
#include <utility>

#include "kernel/base/error.h"

namespace opensend::blob {

std::string BlobStore::Get(std::string_view key) const {
    auto bytes = Find(key);
    if (!bytes) throw base::NotFound("Blob");
    return std::move(*bytes);
}

bool IsBlobKey(std::string_view text) {
    return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

}  // namespace opensend::blob
