#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kernel/access/file_links.h"
#include "kernel/api/router.h"
#include "kernel/blob/blob_store.h"
#include "kernel/db/pool.h"

namespace opensend::files {

/// The files behind download links (REST 2.23): no credential is looked at, the link is one.
class FilesApi {
public:
    FilesApi(db::Pool& pool, blob::BlobStore& blobs, const access::FileLinks& links)
        : pool_(pool), blobs_(blobs), links_(links) {}
    void Mount(api::Router& router);

private:
    api::Answer Get(const std::shared_ptr<api::Call>& call);

    db::Pool& pool_;
    blob::BlobStore& blobs_;
    const access::FileLinks& links_;
};

/// What a browser may be told: types that could act in a page are plain bytes.
std::string ServedType(std::string_view content_type);
/// Content-Disposition of a download with a name of any script (RFC 6266).
std::string DownloadDisposition(std::string_view filename);

}  // namespace opensend::files
