#include "kernel/resources/logs/logs_api.h"

#include "kernel/api/paging.h"
#include "kernel/api/query.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/logs/request_log_store.h"

namespace opensend::logs {
namespace {

/// "404" or a whole class, "4xx".
void ReadStatus(const api::Call& call, LogFilter& filter) {
    const auto text = api::QueryText(call, "status");
    if (!text) return;
    const bool whole_class = text->size() == 3 && text->substr(1) == "xx";
    const auto number = base::ParseInt(whole_class ? text->substr(0, 1) : *text);
    const int64_t low = whole_class ? 1 : 100;
    const int64_t high = whole_class ? 5 : 599;
    if (!number || *number < low || *number > high) {
        throw api::Call::BadParameter("status", "must be a status or 2xx, 3xx, 4xx, 5xx");
    }
    filter.status_from = whole_class ? *number * 100 : *number;
    filter.status_to = whole_class ? *number * 100 + 99 : *number;
}

LogFilter ReadFilter(const api::Call& call) {
    LogFilter filter;
    ReadStatus(call, filter);
    filter.method = api::QueryText(call, "method");
    filter.endpoint_prefix = api::QueryText(call, "endpoint");
    if (const auto key = api::QueryId(call, "api_key_id")) filter.key_id = key->ToString();
    filter.user_agent = api::QueryText(call, "user_agent");
    filter.search = api::QueryText(call, "search");
    if (const auto email = api::QueryId(call, "email_id")) filter.email_id = email->ToString();
    filter.request_id = api::QueryText(call, "request_id");
    const auto tag = api::QueryText(call, "tag_name");
    const auto value = api::QueryText(call, "tag_value");
    if (value && !tag) throw api::Call::BadParameter("tag_value", "needs tag_name");
    if (tag) filter.tag = api::TagPattern(*tag, value);
    filter.created_after = api::QueryTime(call, "created_after", false);
    if (!filter.created_after) filter.created_after = api::QueryTime(call, "date_from", false);
    filter.created_before = api::QueryTime(call, "created_before", true);
    if (!filter.created_before) filter.created_before = api::QueryTime(call, "date_to", true);
    return filter;
}

void WriteEntry(json::Writer& out, const LogEntry& entry, bool detail) {
    out.BeginObject();
    if (detail) out.Field("object", "log");
    out.Field("id", entry.id.ToString()).Field("created_at", entry.created_at);
    out.Field("endpoint", entry.endpoint).Field("method", entry.method);
    out.Field("response_status", entry.status).Field("status", entry.status);
    out.Field("user_agent", entry.user_agent).Field("api_key_id", entry.key_id);
    out.NullField("user_id").Field("request_id", entry.request_id);
    out.Field("correlation_id", entry.correlation_id).Field("duration_ms", entry.duration_ms);
    out.Field("idempotency_replayed", entry.replayed).RawField("email_ids", entry.email_ids);
    if (detail) {
        out.RawField("request_body", entry.request_body.value_or("null"));
        out.RawField("response_body", entry.response_body.value_or("null"));
    }
    out.EndObject();
}

}  // namespace

void LogsApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = LogsApi;
    static constexpr RouteClass kR = RouteClass::kRead;
    static constexpr api::RouteTraits kQuiet = {.unlogged = true};
    // clang-format off
    static const api::Route<LogsApi> kRoutes[] = {
        {M::GET, "/logs", kR, &A::List,
         {.id = "logs.list", .summary = "List requests of the organization",
          .answers = "200 LogItem[]",
          .takes = "page status method endpoint api_key_id user_agent search email_id request_id "
                   "tag_name tag_value created_after created_before date_from date_to"}, kQuiet},
        {M::GET, "/logs/:id", kR, &A::Get,
         {.id = "logs.get", .summary = "Show a request with its bodies",
          .answers = "200 Log"}, kQuiet},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

api::Answer LogsApi::List(const std::shared_ptr<api::Call>& call) {
    const db::PageRequest request = api::ReadPage(*call);
    const LogFilter filter = ReadFilter(*call);
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const auto page = RequestLogStore::List(reader, call->principal.tenant, filter, request);
    return api::ListAnswer(page, [](json::Writer& out, const LogEntry& entry) {
        WriteEntry(out, entry, false);
    });
}

api::Answer LogsApi::Get(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::LogId>();
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const auto entry = RequestLogStore::Find(reader, call->principal.tenant, id);
    if (!entry) throw base::NotFound("Log");
    json::Writer out;
    WriteEntry(out, *entry, true);
    return api::Json(200, out.Take());
}

}  // namespace opensend::logs
