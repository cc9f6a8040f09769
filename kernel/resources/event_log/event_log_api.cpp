#include "kernel/resources/event_log/event_log_api.h"

#include <algorithm>

#include "kernel/api/query.h"
#include "kernel/base/text.h"
#include "kernel/db/transaction.h"
#include "kernel/json/writer.h"
#include "kernel/model/event_type.h"
#include "kernel/resources/event_log/event_log_store.h"

namespace opensend::event_log {
namespace {

constexpr int64_t kMaxEntries = 1'000;
constexpr int64_t kMaxWait = 30;

int64_t ReadNumber(
    const api::Call& call, std::string_view name, int64_t fallback, int64_t min, int64_t max
) {
    const auto text = call.query.find(name);
    if (text == call.query.end()) return fallback;
    const auto number = base::ParseInt(text->second);
    if (!number || *number < min || *number > max) {
        throw api::Call::BadParameter(
            name, base::Cat("must be a whole number from ", min, " to ", max)
        );
    }
    return *number;
}

void WriteEntry(json::Writer& out, const LogEntry& entry) {
    out.BeginObject().Field("id", model::MessageIdOf(entry.id));
    out.Field("sequence", entry.sequence).Field("type", entry.type);
    out.Field("created_at", entry.created_at).RawField("data", entry.data).EndObject();
}

}  // namespace

EventLogApi::EventLogApi(db::Pool& pool, const base::Clock& clock, events::SequencedSignal& signal)
    : pool_(pool), clock_(clock), signal_(signal), waiters_(clock) {
    signal_.Listen([this] { waiters_.Wake(); });
}

EventLogApi::~EventLogApi() { signal_.Listen({}); }

void EventLogApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = EventLogApi;
    static constexpr RouteClass kR = RouteClass::kRead;
    static constexpr api::RouteTraits kQuiet = {.unlogged = true};
    // clang-format off
    static const api::Route<EventLogApi> kRoutes[] = {
        {M::GET, "/events/log", kR, &A::Read,
         {.id = "events.read_log", .summary = "Read the event log behind a cursor",
          .answers = "200 EventLog", .takes = "after limit types wait", .refusals = "410"}, kQuiet},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

EventLogApi::Question EventLogApi::ReadQuestion(const api::Call& call) {
    Question question;
    question.after = ReadNumber(call, "after", 0, 0, int64_t{1} << 53);
    question.wait_s = ReadNumber(call, "wait", 0, 0, kMaxWait);
    const auto limit = call.query.find("limit");
    if (limit != call.query.end()) {
        const auto number = base::ParseInt(limit->second);
        if (!number || *number < 1 || *number > kMaxEntries) {
            throw base::Invalid("limit", "must be a whole number from 1 to 1000.", "out_of_range");
        }
        question.limit = *number;
    }
    if (const auto types = api::QueryText(call, "types")) {
        question.types = ",";
        for (const std::string& name : base::SplitList(*types)) {
            const auto type = model::ParseEventType(name);
            if (!type) throw api::Call::BadParameter("types", "names an unknown event type");
            question.types += base::Cat(model::ToText(*type), ',');
        }
        if (question.types == ",") question.types.clear();
    }
    return question;
}

std::optional<http::Response> EventLogApi::Page(
    const model::TenantId& tenant, const Question& question, int64_t& scanned, bool must
) {
    db::Reader reader(pool_, db::Scope(tenant), db::Plane::kEvents);
    // The usual case of a call that waits: one look-up says that there is nothing.
    if (!must && EventLogStore::Latest(reader, tenant) <= scanned) return std::nullopt;
    const LogRange range = EventLogStore::Range(reader, tenant);
    if (question.after < range.oldest - 1) {
        json::Writer details;
        details.BeginObject().Field("oldest_sequence", range.oldest).EndObject();
        throw base::Error(
            base::ErrorCode::kGone, "Events after this cursor are no longer kept; start again."
        )
            .WithReason("cursor_expired")
            .WithExtra(details.Take());
    }
    auto entries = EventLogStore::Read(
        reader, tenant, scanned, range.latest, question.types, question.limit + 1
    );
    const bool more = std::ssize(entries) > question.limit;
    if (more) entries.pop_back();
    // What has another type is behind the cursor too.
    scanned = more ? entries.back().sequence : std::max(scanned, range.latest);
    if (entries.empty() && !must) return std::nullopt;
    json::Writer out;
    out.BeginObject().Field("object", "list").Field("has_more", more);
    out.Key("data").BeginArray();
    for (const LogEntry& entry : entries) WriteEntry(out, entry);
    out.EndArray().Field("next_after", scanned);
    out.Field("oldest_sequence", range.oldest).Field("latest_sequence", range.latest).EndObject();
    return api::Json(200, out.Take());
}

api::Answer EventLogApi::Read(const std::shared_ptr<api::Call>& call) {
    const Question question = ReadQuestion(*call);
    const model::TenantId tenant = call->principal.tenant;
    int64_t scanned = question.after;
    auto now = Page(tenant, question, scanned, question.wait_s == 0);
    if (now) return now;
    const bool waits = waiters_.Add(
        call, clock_.Mono() + std::chrono::seconds(question.wait_s),
        [this, tenant, question, scanned](bool last) mutable {
            return Page(tenant, question, scanned, last);
        }
    );
    if (waits) return std::nullopt;
    return Page(tenant, question, scanned, true);
}

}  // namespace opensend::event_log
