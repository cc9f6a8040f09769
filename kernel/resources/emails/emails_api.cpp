#include "kernel/resources/emails/emails_api.h"

#include <algorithm>

#include "kernel/api/idempotent.h"
#include "kernel/api/paging.h"
#include "kernel/api/problem.h"
#include "kernel/api/query.h"
#include "kernel/base/scope_exit.h"
#include "kernel/base/text.h"
#include "kernel/db/transaction.h"
#include "kernel/mime/address.h"
#include "kernel/resources/domains/domain_store.h"
#include "kernel/resources/emails/email_json.h"
#include "kernel/resources/emails/email_store.h"
#include "kernel/resources/emails/visible.h"
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

bool IsScheduled(const json::Value& body) {
    return body.IsObject() && !body.Find("scheduled_at").IsAbsent();
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
    using M = api::Method;
    using A = EmailsApi;
    static constexpr RouteClass kS = RouteClass::kSend;
    static constexpr RouteClass kR = RouteClass::kRead;
    static constexpr api::RouteTraits kSend = {
        .max_body = kMaxSendBody, .open_to_restricted = true};
    static constexpr api::RouteTraits kRestricted = {.open_to_restricted = true};
    // clang-format off
    static const api::Route<EmailsApi> kRoutes[] = {
        {M::POST, "/emails", kS, &A::Send,
         {.id = "emails.send", .summary = "Send an email",
          .answers = "200 EmailId", .body = "SendEmail", .refusals = "404 451"}, kSend},
        {M::POST, "/emails/batch", kS, &A::Batch,
         {.id = "emails.send_batch", .summary = "Send up to 100 emails",
          .answers = "200 BatchAnswer", .body = "SendBatch",
          .takes = "x-batch-validation", .refusals = "404 451"}, kSend},
        {M::GET, "/emails", kR, &A::List,
         {.id = "emails.list", .summary = "List emails, newest first",
          .answers = "200 EmailItem[]",
          .takes = "page status to from subject domain_id broadcast_id template_id topic_id "
                   "tag_name tag_value created_after created_before"}, kRestricted},
        {M::GET, "/emails/:id", kR, &A::Get,
         {.id = "emails.get", .summary = "Show an email", .answers = "200 Email"}, kRestricted},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

ReadContext EmailsApi::ContextOf(const api::Call& call, bool scheduled) {
    ReadContext context;
    context.now = call.now;
    context.https_only = options_.https_only;
    context.max_attachment_b64_bytes = options_.max_attachment_b64_bytes;
    context.url_allowed = options_.url_allowed;
    if (scheduled) {
        db::Reader reader(pool_, db::Scope(call.principal.tenant), db::Plane::kAccept);
        context.zone = EmailStore::TimeZone(reader, call.principal.tenant);
    }
    return context;
}

std::optional<http::Response> EmailsApi::Replay(
    const api::Call& call, std::string_view family, std::string_view mode, Acceptor::Item& item
) {
    item.now = call.now;
    if (!call.idempotency_key) return std::nullopt;
    item.use = access::IdempotencyUse{
        call.principal.tenant, std::string(family), *call.idempotency_key,
        access::Fingerprint(family, mode, call.body())};
    db::Reader reader(pool_, db::Scope(call.principal.tenant), db::Plane::kAccept);
    const auto stored = idempotency_.Find(reader, *item.use, call.now);
    return stored ? std::optional(api::Replayed(*stored)) : std::nullopt;
}

api::Answer EmailsApi::Submit(
    const std::shared_ptr<api::Call>& call,
    const std::shared_ptr<Acceptor::Item>& item,
    size_t cost,
    const std::function<void()>& prepare
) {
    access::RateGate::SendUnits units;
    if (cost > 0) {
        units = rates_.ChargeSend(call->principal, static_cast<uint32_t>(cost), call->facts->rates);
    }
    bool is_submitted = false;
    // Nothing was accepted for these units: give them back (RATE-12).
    const base::ScopeExit give_back([&] {
        if (!is_submitted) access::RateGate::RefundSend(units);
    });
    prepare();
    acceptor_.Commit(
        item,
        [item, reply = call->reply, request_id = call->facts->request_id, units,
         facts = call->facts](std::exception_ptr failure) {
            const bool accepted = !failure && !item->replayed && !item->refused;
            if (!accepted) access::RateGate::RefundSend(units);
            for (const auto& each : item->emails) {
                if (accepted) facts->email_ids.push_back(each.email.id.ToString());
            }
            AnswerSend(reply, request_id, *item, failure);
        }
    );
    is_submitted = true;
    return std::nullopt;
}

api::Answer EmailsApi::Send(const std::shared_ptr<api::Call>& call) {
    if (!call->body().IsObject()) {
        throw base::Invalid("", "the body must be an object.", "invalid_type");
    }
    json::Problems problems;
    SendRequest request = ReadSendRequest(
        call->body(), "", ContextOf(*call, IsScheduled(call->body())), call->strict_fields,
        problems, call->facts->ignored_fields
    );
    problems.ThrowIfAny();
    auto item = std::make_shared<Acceptor::Item>();
    if (auto replayed = Replay(*call, "emails", "", *item)) return replayed;
    acceptor_.Check(call->principal, request);
    return Submit(call, item, CountRecipients(request), [&] {
        item->emails.push_back(acceptor_.Prepare(call->principal, std::move(request), "api"));
        json::Writer body;
        body.BeginObject().Field("id", item->emails.front().email.id.ToString()).EndObject();
        item->answer = {200, body.Take()};
    });
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
    const model::TenantId& tenant = call->principal.tenant;
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const Email email = VisibleEmail(reader, *call);
    auto content = EmailStore::FindContent(reader, tenant, email.id).value_or(EmailContent{});
    if (content.blob_key) content = UnpackContent(blobs_.Get(*content.blob_key));
    const auto recipients = EmailStore::Recipients(reader, tenant, email.id);
    return api::Json(200, DetailJson(email, content, recipients));
}

}  // namespace opensend::emails
