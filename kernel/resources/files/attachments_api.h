#pragma once

#include <memory>

#include "kernel/access/file_links.h"
#include "kernel/api/router.h"
#include "kernel/db/pool.h"
#include "kernel/json/writer.h"
#include "kernel/resources/emails/email.h"

namespace opensend::files {

/// Attachments of sent mail (REST 2.1.7).
class AttachmentsApi {
public:
    AttachmentsApi(db::Pool& pool, const access::FileLinks& links) : pool_(pool), links_(links) {}
    void Mount(api::Router& router);

private:
    api::Answer List(const std::shared_ptr<api::Call>& call);
    api::Answer Get(const std::shared_ptr<api::Call>& call);
    void Write(
        json::Writer& out, const api::Call& call, const emails::AttachmentRow& row, bool with_object
    ) const;

    db::Pool& pool_;
    const access::FileLinks& links_;
};

}  // namespace opensend::files
