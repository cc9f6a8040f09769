#include "kernel/resources/emails/email_detail_api.h"

#include "kernel/access/audit.h"
#include "kernel/api/audited.h"
#include "kernel/api/idempotent.h"
#include "kernel/api/paging.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/emails/email_actions.h"
#include "kernel/resources/emails/email_explain.h"
#include "kernel/resources/emails/email_history.h"
#include "kernel/resources/emails/email_store.h"
#include "kernel/resources/emails/send_request.h"
#include "kernel/resources/emails/visible.h"

namespace opensend::emails {
namespace {

constexpr std::string_view kEventPrefix = "msg_";

/// Cursors of event lists are event ids; the page holds them as 36 characters.
std::optional<std::string> EventCursor(const api::Call& call, std::string_view name) {
    const auto found = call.query.find(name);
    if (found == call.query.end()) return std::nullopt;
    const std::string& text = found->second;
    const auto id = text.rfind(kEventPrefix, 0) == 0
                        ? base::ParseBase62Uuid(text.substr(kEventPrefix.size()))
                        : std::nullopt;
    if (!id) throw api::Call::BadParameter(name, "must be the id of an event");
    return id->ToString();
}

/// api::ReadPage for lists whose cursors are event ids.
db::PageRequest ReadEventPage(const api::Call& call) {
    const auto after = EventCursor(call, "after");
    const auto before = EventCursor(call, "before");
    if (after && before) throw api::Call::BadParameter("after", "cannot be combined with before");
    api::Call plain;
    plain.query = call.query;
    plain.query.erase("after");
    plain.query.erase("before");
    db::PageRequest page = api::ReadPage(plain);
    page.after = after;
    page.before = before;
    return page;
}

std::string EmailAnswer(const std::string& id) {
    json::Writer out;
    out.BeginObject().Field("object", "email").Field("id", id).EndObject();
    return out.Take();
}

}  // namespace

void EmailDetailApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = EmailDetailApi;
    static constexpr RouteClass kW = RouteClass::kWrite;
    static constexpr RouteClass kR = RouteClass::kRead;
    static constexpr api::RouteTraits kRestricted = {.open_to_restricted = true};
    // clang-format off
    static const api::Route<EmailDetailApi> kRoutes[] = {
        {M::PATCH, "/emails/:id", kW, &A::Update,
         {.id = "emails.reschedule", .summary = "Give a scheduled email another time",
          .answers = "200 EmailRef", .body = "Reschedule", .refusals = "409"}, kRestricted},
        {M::POST, "/emails/:id/cancel", kW, &A::Cancel,
         {.id = "emails.cancel", .summary = "Cancel an email that has not left",
          .answers = "200 EmailCanceled"}, kRestricted},
        {M::GET, "/emails/:id/events", kR, &A::Events,
         {.id = "emails.list_events", .summary = "List what happened to an email, oldest first",
          .answers = "200 EmailEvent[]", .takes = "limit event_after event_before"}, kRestricted},
        {M::GET, "/emails/:id/explain", kR, &A::Explain,
         {.id = "emails.explain", .summary = "Say where an email is and why",
          .answers = "200 EmailExplanation"}, kRestricted},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

api::Answer EmailDetailApi::Update(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::EmailId>();
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    const json::Value given = in.Take("scheduled_at");
    std::optional<base::Time> due;
    db::Transaction tx(deps_.pool, db::Plane::kAccept, db::Scope(call->principal.tenant));
    if (given.IsAbsent()) {
        problems.AddMissing("scheduled_at");
    } else {
        ReadContext context;
        context.now = call->now;
        context.zone = EmailStore::TimeZone(tx, call->principal.tenant);
        due = ReadScheduledAt(given, "scheduled_at", context, problems);
    }
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    VisibleEmail(tx, *call);
    EmailActions(deps_.ids, call->now)
        .Reschedule(tx, call->principal.tenant, id, *due, call->principal.Actor());
    json::Writer metadata;
    metadata.BeginObject().Field("scheduled_at", *due).EndObject();
    access::Audit(
        tx, deps_.ids,
        api::AuditOf(*call, "email.rescheduled", "email", id.ToString(), metadata.Take())
    );
    tx.Commit();
    call->facts->email_ids.push_back(id.ToString());
    deps_.wake_workers();
    deps_.wake_events();
    return api::Json(200, EmailAnswer(id.ToString()));
}

api::Answer EmailDetailApi::Cancel(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::EmailId>();
    const auto effect = [&](db::Transaction& tx) -> access::StoredAnswer {
        VisibleEmail(tx, *call);
        EmailActions actions(deps_.ids, call->now);
        const auto ended = actions.Cancel(tx, call->principal.tenant, id, call->principal.Actor());
        if (ended.changed) {
            access::Audit(
                tx, deps_.ids, api::AuditOf(*call, "email.canceled", "email", id.ToString())
            );
        }
        json::Writer out;
        out.BeginObject().Field("object", "email").Field("id", id.ToString());
        out.Field("status", model::ToText(ended.status)).EndObject();
        return {200, out.Take()};
    };
    http::Response response =
        api::RunOnce(*call, deps_.pool, deps_.idempotency, "emails.cancel", false, effect);
    call->facts->email_ids.push_back(id.ToString());
    deps_.wake_events();
    return response;
}

api::Answer EmailDetailApi::Events(const std::shared_ptr<api::Call>& call) {
    const db::PageRequest request = ReadEventPage(*call);
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    const Email email = VisibleEmail(reader, *call);
    const auto page = EmailHistory::List(reader, call->principal.tenant, email.id, request);
    return api::ListAnswer(page, WriteHistoryItem);
}

api::Answer EmailDetailApi::Explain(const std::shared_ptr<api::Call>& call) {
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    const Email email = VisibleEmail(reader, *call);
    return api::Json(200, ExplainAsJson(reader, email, call->now, deps_.max_age));
}

}  // namespace opensend::emails
