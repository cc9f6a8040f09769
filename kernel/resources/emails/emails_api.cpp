#include "kernel/resources/emails/emails_api.h"

#include <algorithm>

#include "kernel/api/idempotent.h"
#include "kernel/api/paging.h"
#include "kernel/api/problem.h"
#include "kernel/api/query.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/db/transaction.h"
#include "kernel/mime/address.h"
#include "kernel/resources/domains/domain_store.h"
#include "kernel/resources/emails/email_json.h"
#include "kernel/resources/emails/email_store.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"

namespace opensend::emails {
namespace {

constexpr size_t kMaxSendBody = 50 * 1024 * 1024;
constexpr std::string_view kLastEvents[] = {"delivery_delayed", "opened", "clicked"};

EmailFilter ReadFilter(const api::Call& call) {
    EmailFilter filter;
    if (auto status = api::QueryText(call, "status")) {
        const bool known = model::ParseEmailStatus(*status).has_value() ||
                           std::find(std::begin(kLastEvents), std::end(kLastEvents), *status) !=
                               std::end(kLastEvents);
        if (!known) throw api::Call::BadParameter("status", "is not a status");
        filter.status = status;
    }
    if (auto to = api::QueryText(call, "to")) {
        const auto address = mime::ParseAddress(*to);
        if (!address.ok()) throw api::Call::BadParameter("to", "must be an email address");
        filter.to_key = address->Key();
    }
    if (const auto tag = api::QueryText(call, "tag_name")) {
        filter.tag = api::TagPattern(*tag, api::QueryText(call, "tag_value"));
    }
    filter.from_address = api::QueryText(call, "from");
    filter.subject_prefix = api::QueryText(call, "subject");
    filter.created_after = api::QueryTime(call, "created_after", false);
    filter.created_before = api::QueryTime(call, "created_before", true);
    return filter;
}

/// A domain that no message has: a filter that names nothing finds nothing.
constexpr std::string_view kNoDomain = "-";

/// The domain that `domain_id` names. Ids of what cannot exist yet (broadcasts, templates, topics)
/// find nothing either.
std::optional<std::string> DomainFilter(const api::Call& call, db::Session& session) {
    for (const std::string_view name : {"broadcast_id", "template_id", "topic_id"}) {
        if (api::QueryId(call, name)) return std::string(kNoDomain);
    }
    const auto id = api::QueryId(call, "domain_id");
    if (!id) return std::nullopt;
    const auto domain =
        domains::DomainStore::Find(session, call.principal.tenant, model::DomainId(*id));
    return domain ? domain->name : std::string(kNoDomain);
}

/// A restricted key sees only mail of its domain; the name is looked up per request.
std::optional<std::string> RestrictedDomain(db::Session& session, const model::Principal& caller) {
    if (!caller.domain) return std::nullopt;
    const auto domain = domains::DomainStore::Find(session, caller.tenant, *caller.domain);
    return domain ? domain->name : std::string(kNoDomain);
}

/// Answers a send whose commit ended; runs on the committing thread.
void AnswerSend(
    const http::Reply& reply,
    const std::string& request_id,
    const Acceptor::Item& item,
    std::exception_ptr failure
) {
    if (!failure && item.replayed) return reply(api::Replayed(*item.replayed));
    if (!failure && item.refused) return reply(api::ToResponse(*item.refused, request_id));
    if (!failure) {
        runtime::Count("opensend_accept_total", {"api", "accepted"}, item.emails.size());
        return reply(api::Json(item.answer.status, item.answer.body));
    }
    runtime::Count("opensend_accept_total", {"api", "failed"});
    try {
        std::rethrow_exception(failure);
    } catch (const base::Error& error) {
        OPENSEND_LOG(
            kError, "accept.failed", "accepted mail could not be stored",
            kv("request_id", request_id), kv("detail", error.what())
        );
        reply(api::ToResponse(base::Unavailable("database_unavailable", error.what()), request_id));
    } catch (const std::exception& error) {
        OPENSEND_LOG(
            kError, "accept.failed", "accepted mail could not be stored",
            kv("request_id", request_id), kv("detail", error.what())
        );
        reply(api::ToResponse(base::Unavailable("database_unavailable", error.what()), request_id));
    }
}

}  // namespace

void EmailsApi::Mount(api::Router& router) {
    using model::RouteClass;
    static constexpr api::RouteTraits kSend = {
        .max_body = kMaxSendBody, .open_to_restricted = true};
    static constexpr api::RouteTraits kRestricted = {.open_to_restricted = true};
    static const api::Route<EmailsApi> kRoutes[] = {
        {api::Method::POST, "/emails",     RouteClass::kSend, &EmailsApi::Send, kSend      },
        {api::Method::GET,  "/emails",     RouteClass::kRead, &EmailsApi::List, kRestricted},
        {api::Method::GET,  "/emails/:id", RouteClass::kRead, &EmailsApi::Get,  kRestricted},
    };
    router.Mount(kRoutes, *this);
}

api::Answer EmailsApi::Send(const std::shared_ptr<api::Call>& call) {
    json::Problems problems;
    ReadContext context;
    context.now = call->now;
    context.https_only = options_.https_only;
    context.max_attachment_b64_bytes = options_.max_attachment_b64_bytes;
    if (!call->body().IsObject()) {
        throw base::Invalid("", "the body must be an object.", "invalid_type");
    }
    SendRequest request = ReadSendRequest(
        call->body(), "", context, call->strict_fields, problems, call->facts->ignored_fields
    );
    problems.ThrowIfAny();
    const model::TenantId& tenant = call->principal.tenant;
    auto item = std::make_shared<Acceptor::Item>();
    item->now = call->now;
    if (call->idempotency_key) {
        item->use = access::IdempotencyUse{
            tenant, "emails", *call->idempotency_key,
            access::Fingerprint("emails", "", call->body())};
        db::Reader reader(pool_, db::Scope(call->principal.tenant), db::Plane::kAccept);
        if (const auto stored = idempotency_.Find(reader, *item->use, call->now)) {
            return api::Replayed(*stored);
        }
    }
    acceptor_.Check(call->principal, request);
    const auto units = static_cast<uint32_t>(CountRecipients(request));
    rates_.ChargeSend(tenant, units, call->facts->rates);

    item->emails.push_back(acceptor_.Prepare(call->principal, std::move(request), "api"));
    json::Writer body;
    body.BeginObject().Field("id", item->emails.front().email.id.ToString()).EndObject();
    item->answer = {200, body.Take()};
    const http::Reply reply = call->reply;
    const std::string request_id = call->facts->request_id;
    acceptor_.Commit(
        item,
        [this, item, reply, request_id, tenant, units,
         facts = call->facts](std::exception_ptr failure) {
            // Nothing was accepted for these units: give them back (RATE-12).
            if (failure || item->replayed || item->refused) rates_.RefundSend(tenant, units);
            if (!failure && !item->replayed && !item->refused) {
                for (const auto& each : item->emails) {
                    facts->email_ids.push_back(each.email.id.ToString());
                }
            }
            AnswerSend(reply, request_id, *item, failure);
        }
    );
    return std::nullopt;
}

api::Answer EmailsApi::List(const std::shared_ptr<api::Call>& call) {
    const db::PageRequest request = api::ReadPage(*call);
    EmailFilter filter = ReadFilter(*call);
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    filter.from_domain = DomainFilter(*call, reader);
    if (const auto own = RestrictedDomain(reader, call->principal)) {
        const bool other = filter.from_domain && *filter.from_domain != *own;
        filter.from_domain = other ? std::string(kNoDomain) : *own;
    }
    const auto page = EmailStore::List(reader, call->principal.tenant, filter, request);
    return api::ListAnswer(page, WriteListItem);
}

api::Answer EmailsApi::Get(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::EmailId>();
    const model::TenantId& tenant = call->principal.tenant;
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const auto email = EmailStore::Find(reader, tenant, id);
    const auto restricted = RestrictedDomain(reader, call->principal);
    if (!email || (restricted && email->from_domain != *restricted)) throw base::NotFound("Email");
    auto content = EmailStore::FindContent(reader, tenant, id).value_or(EmailContent{});
    if (content.blob_key) content = UnpackContent(blobs_.Get(*content.blob_key));
    const auto recipients = EmailStore::Recipients(reader, tenant, id);
    return api::Json(200, DetailJson(*email, content, recipients));
}

}  // namespace opensend::emails
