#include "kernel/resources/received/received_api.h"

#include <algorithm>

#include "kernel/api/paging.h"
#include "kernel/api/query.h"
#include "kernel/db/transaction.h"
#include "kernel/json/value.h"
#include "kernel/mime/address.h"
#include "kernel/resources/received/received_json.h"
#include "kernel/resources/received/received_store.h"

namespace opensend::received {
namespace {

std::optional<std::string> AddressKey(const api::Call& call, std::string_view name) {
    const auto text = api::QueryText(call, name);
    if (!text) return std::nullopt;
    const auto address = mime::ParseAddress(*text);
    if (!address.ok()) throw api::Call::BadParameter(name, "must be an email address");
    return address->Key();
}

/// The message that the call names, if its caller may see it: a key that is bound to a domain sees
/// what came for that domain.
ReceivedEmail VisibleReceived(db::Session& session, const api::Call& call) {
    auto email = ReceivedStore::Find(session, call.principal.tenant, call.Id<ReceivedId>());
    const auto& bound = call.principal.domain;
    const bool visible =
        email &&
        (!bound ||
         std::any_of(email->decisions.begin(), email->decisions.end(), [&](const auto& decision) {
             return decision.domain == bound;
         }));
    if (!visible) {
        throw base::Error(base::ErrorCode::kNotFound, "Received email not found.")
            .WithReason("received_email_not_found");
    }
    return std::move(*email);
}

bool WantsDataUris(const api::Call& call) {
    const auto format = api::QueryText(call, "html_format");
    if (!format || *format == "cid") return false;
    if (*format == "data_uri") return true;
    throw api::Call::BadParameter("html_format", "must be cid or data_uri");
}

/// Bodies that lie in the blob store, as JSON with the members html and text.
void Unpack(ReceivedContent& content, const blob::BlobStore& blobs) {
    if (!content.blob_key) return;
    const std::string packed = blobs.Get(*content.blob_key);
    const auto document = json::Document::Parse(packed);
    if (!document.ok()) throw base::Unavailable("storage_failed", "packed bodies do not parse");
    const auto text_of = [&](std::string_view name) -> std::optional<std::string> {
        const json::Value value = document->root().Find(name);
        if (!value.IsString()) return std::nullopt;
        return std::string(value.AsString());
    };
    content.html = text_of("html");
    content.text = text_of("text");
}

}  // namespace

void ReceivedApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = ReceivedApi;
    static constexpr RouteClass kR = RouteClass::kRead;
    static constexpr api::RouteTraits kRestricted = {.open_to_restricted = true};
    // clang-format off
    static const api::Route<ReceivedApi> kRoutes[] = {
        {M::GET, "/emails/receiving", kR, &A::List,
         {.id = "received.list", .summary = "List received mail",
          .answers = "200 ReceivedEmailItem[]",
          .takes = "page to from domain_id created_after created_before"}, kRestricted},
        {M::GET, "/emails/receiving/:id", kR, &A::Get,
         {.id = "received.get", .summary = "Show a received email",
          .answers = "200 ReceivedEmail", .takes = "html_format"}, kRestricted},
        {M::GET, "/emails/receiving/:id/attachments", kR, &A::ListAttachments,
         {.id = "received.list_attachments", .summary = "List the attachments of a received email",
          .answers = "200 AttachmentItem[]", .takes = "page"}, kRestricted},
        {M::GET, "/emails/receiving/:id/attachments/:attachment_id", kR, &A::GetAttachment,
         {.id = "received.get_attachment", .summary = "Show an attachment of a received email",
          .answers = "200 Attachment"}, kRestricted},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

access::FileLinks::Link ReceivedApi::LinkOf(
    const api::Call& call, const ReceivedAttachment& attachment
) const {
    return links_.Make(
        crypto::FileKind::kReceivedAttachment, call.principal.tenant, attachment.id.uuid(),
        attachment.filename, call.now
    );
}

api::Answer ReceivedApi::List(const std::shared_ptr<api::Call>& call) {
    const db::PageRequest request = api::ReadPage(*call);
    ReceivedFilter filter;
    filter.to_key = AddressKey(*call, "to");
    filter.from_key = AddressKey(*call, "from");
    if (const auto id = api::QueryId(*call, "domain_id")) filter.domain = model::DomainId(*id);
    filter.visible = call->principal.domain;
    filter.created_after = api::QueryTime(*call, "created_after", false);
    filter.created_before = api::QueryTime(*call, "created_before", true);
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const auto page = ReceivedStore::List(reader, call->principal.tenant, filter, request);
    return api::ListAnswer(page, WriteListItem);
}

api::Answer ReceivedApi::Get(const std::shared_ptr<api::Call>& call) {
    const bool data_uris = WantsDataUris(*call);
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const ReceivedEmail email = VisibleReceived(reader, *call);
    auto content = ReceivedStore::FindContent(reader, call->principal.tenant, email.id)
                       .value_or(ReceivedContent{});
    Unpack(content, blobs_);
    if (data_uris && content.html) {
        content.html = EmbedInline(
            *content.html, email.attachments,
            [this](const ReceivedAttachment& attachment) {
                return blobs_.Find(attachment.blob_key);
            }
        );
    }
    std::optional<access::FileLinks::Link> raw;
    if (email.raw_blob_key) {
        raw = links_.Make(
            crypto::FileKind::kRawReceived, call->principal.tenant, email.id.uuid(), "message.eml",
            call->now
        );
    }
    return api::Json(200, DetailJson(email, content, raw));
}

api::Answer ReceivedApi::ListAttachments(const std::shared_ptr<api::Call>& call) {
    const db::PageRequest request = api::ReadPage(*call);
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    std::vector<ReceivedAttachment> rows;
    ReceivedEmail email = VisibleReceived(reader, *call);
    for (ReceivedAttachment& row : email.attachments) {
        const std::string id = row.id.ToString();
        if (request.after && id <= *request.after) continue;
        if (request.before && id >= *request.before) continue;
        rows.push_back(std::move(row));
    }
    if (request.backwards()) std::reverse(rows.begin(), rows.end());
    const auto page = db::TrimPage(std::move(rows), request);
    return api::ListAnswer(page, [&](json::Writer& out, const ReceivedAttachment& row) {
        WriteAttachment(out, row, LinkOf(*call, row), false);
    });
}

api::Answer ReceivedApi::GetAttachment(const std::shared_ptr<api::Call>& call) {
    const auto wanted = call->Id<model::AttachmentId>("attachment_id");
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const ReceivedEmail email = VisibleReceived(reader, *call);
    for (const ReceivedAttachment& row : email.attachments) {
        if (row.id != wanted) continue;
        json::Writer out;
        WriteAttachment(out, row, LinkOf(*call, row), true);
        return api::Json(200, out.Take());
    }
    throw base::NotFound("Attachment");
}

}  // namespace opensend::received
