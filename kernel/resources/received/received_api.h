#pragma once

#include <memory>

#include "kernel/access/file_links.h"
#include "kernel/api/router.h"
#include "kernel/blob/blob_store.h"
#include "kernel/db/pool.h"
#include "kernel/resources/received/received.h"

namespace opensend::received {

/// Reading what came in (REST 2.3).
class ReceivedApi {
public:
    ReceivedApi(db::Pool& pool, blob::BlobStore& blobs, const access::FileLinks& links)
        : pool_(pool), blobs_(blobs), links_(links) {}
    void Mount(api::Router& router);

private:
    api::Answer List(const std::shared_ptr<api::Call>& call);
    api::Answer Get(const std::shared_ptr<api::Call>& call);
    api::Answer ListAttachments(const std::shared_ptr<api::Call>& call);
    api::Answer GetAttachment(const std::shared_ptr<api::Call>& call);
    access::FileLinks::Link LinkOf(const api::Call& call, const ReceivedAttachment& attachment)
        const;

    db::Pool& pool_;
    blob::BlobStore& blobs_;
    const access::FileLinks& links_;
};

}  // namespace opensend::received
