#include "kernel/resources/files/attachments_api.h"

#include <algorithm>

#include "kernel/api/paging.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/emails/email_store.h"
#include "kernel/resources/emails/visible.h"

namespace opensend::files {

void AttachmentsApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = AttachmentsApi;
    static constexpr RouteClass kR = RouteClass::kRead;
    static constexpr api::RouteTraits kRestricted = {.open_to_restricted = true};
    // clang-format off
    static const api::Route<AttachmentsApi> kRoutes[] = {
        {M::GET, "/emails/:id/attachments", kR, &A::List,
         {.id = "emails.list_attachments", .summary = "List the attachments of an email",
          .answers = "200 AttachmentItem[]", .takes = "page"}, kRestricted},
        {M::GET, "/emails/:id/attachments/:attachment_id", kR, &A::Get,
         {.id = "emails.get_attachment", .summary = "Show an attachment with a link to its bytes",
          .answers = "200 Attachment"}, kRestricted},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

void AttachmentsApi::Write(
    json::Writer& out, const api::Call& call, const emails::AttachmentRow& row, bool with_object
) const {
    out.BeginObject();
    if (with_object) out.Field("object", "attachment");
    out.Field("id", row.id.ToString()).Field("filename", row.filename).Field("size", row.size);
    out.Field("content_type", row.content_type);
    out.Field("content_disposition", row.content_id.empty() ? "attachment" : "inline");
    out.Field("content_id", row.content_id.empty() ? std::nullopt : std::optional(row.content_id));
    out.Field("status", row.status);
    if (row.blob_key) {
        const auto link = links_.Make(
            crypto::FileKind::kSentAttachment, call.principal.tenant, row.id.uuid(), row.filename,
            call.now
        );
        out.Field("download_url", link.url).Field("expires_at", link.expires_at);
    } else {
        out.NullField("download_url").NullField("expires_at");
    }
    out.EndObject();
}

api::Answer AttachmentsApi::List(const std::shared_ptr<api::Call>& call) {
    const db::PageRequest request = api::ReadPage(*call);
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const emails::Email email = emails::VisibleEmail(reader, *call);
    // Ids were made in the order of the request, so a cursor is a place in it.
    std::vector<emails::AttachmentRow> rows;
    for (emails::AttachmentRow& row :
         emails::EmailStore::Attachments(reader, call->principal.tenant, email.id)) {
        const std::string id = row.id.ToString();
        if (request.after && id <= *request.after) continue;
        if (request.before && id >= *request.before) continue;
        rows.push_back(std::move(row));
    }
    if (request.backwards()) std::reverse(rows.begin(), rows.end());
    const auto page = db::TrimPage(std::move(rows), request);
    return api::ListAnswer(page, [&](json::Writer& out, const emails::AttachmentRow& row) {
        Write(out, *call, row, false);
    });
}

api::Answer AttachmentsApi::Get(const std::shared_ptr<api::Call>& call) {
    const auto wanted = call->Id<model::AttachmentId>("attachment_id");
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const emails::Email email = emails::VisibleEmail(reader, *call);
    for (const emails::AttachmentRow& row :
         emails::EmailStore::Attachments(reader, call->principal.tenant, email.id)) {
        if (row.id != wanted) continue;
        json::Writer out;
        Write(out, *call, row, true);
        return api::Json(200, out.Take());
    }
    throw base::NotFound("Attachment");
}

}  // namespace opensend::files
