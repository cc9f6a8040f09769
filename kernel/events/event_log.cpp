#include "kernel/events/event_log.h"

#include "kernel/json/writer.h"

namespace opensend::events {
namespace {

constexpr db::Query kAppend{"events.append", R"sql(
    INSERT INTO events (id, org_id, type, created_at, subject_id, data, dedupe_key)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (org_id, dedupe_key) DO NOTHING)sql"};

db::Params ParamsOf(const Event& event) {
    return {event.id,         event.tenant, model::ToText(event.type), event.time.Millis(),
            event.subject_id, event.data,   event.dedupe_key};
}

}  // namespace

bool Append(db::Session& tx, const Event& event) {
    return tx.Change(kAppend, ParamsOf(event)) == 1;
}

void AppendAll(db::Session& tx, const std::vector<Event>& events) {
    std::vector<db::Params> each;
    each.reserve(events.size());
    for (const Event& event : events) each.push_back(ParamsOf(event));
    if (!each.empty()) tx.ChangeEach(kAppend, each);
}

std::string Envelope(
    const model::EventId& id,
    std::string_view type,
    base::Time created_at,
    int64_t sequence,
    std::string_view data
) {
    json::Writer out;
    out.BeginObject()
        .Field("id", model::MessageIdOf(id))
        .Field("type", std::string(type))
        .Field("created_at", created_at)
        .Field("sequence", sequence)
        .RawField("data", data)
        .EndObject();
    return out.Take();
}

}  // namespace opensend::events
