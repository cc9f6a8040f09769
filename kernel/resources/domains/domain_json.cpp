#include "kernel/resources/domains/domain_json.h"

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/events/event_log.h"
#include "kernel/json/value.h"
#include "kernel/mime/idna.h"

namespace opensend::domains {
namespace {

void WriteRecords(json::Writer& out, const std::vector<DnsRecord>& records) {
    out.Key("records").BeginArray();
    for (const DnsRecord& record : records) {
        out.BeginObject().Field("record", record.record).Field("name", record.name);
        out.Field("fqdn", record.fqdn).Field("type", record.type).Field("ttl", "Auto");
        out.Field("status", record.status).Field("value", record.value);
        if (record.priority) out.Field("priority", *record.priority);
        if (!record.required) out.Field("required", false);
        out.EndObject();
    }
    out.EndArray();
}

void WriteCapabilities(json::Writer& out, const Domain& domain) {
    out.Key("capabilities").BeginObject().Field("sending", domain.sending);
    out.Field("receiving", domain.receiving).EndObject();
}

}  // namespace

void WriteDomain(
    json::Writer& out, const Domain& domain, const RecordSources& sources, bool with_records
) {
    out.BeginObject().Field("object", "domain").Field("id", domain.id.ToString());
    out.Field("name", domain.name).Field("unicode_name", mime::ToULabel(domain.name));
    out.Field("status", domain.status).Field("status_reason", domain.status_reason);
    out.Field("sending_verified", domain.sending_verified);
    out.Field("receiving_verified", domain.receiving_verified);
    out.Field("region", domain.region).Field("created_at", domain.id.uuid().Timestamp());
    WriteCapabilities(out, domain);
    out.Field("open_tracking", domain.open_tracking).Field("click_tracking", domain.click_tracking);
    out.Field("tracking_subdomain", domain.tracking_subdomain);
    out.Field("reply_tracking", domain.reply_tracking).Field("tls", domain.tls);
    out.Field("custom_return_path", domain.return_path).Field("return_path", domain.return_path);
    if (with_records) {
        out.Field("last_checked_at", domain.last_checked_at);
        WriteRecords(out, PlanRecords(domain, sources));
    }
    out.EndObject();
}

std::string DomainJson(const Domain& domain, const RecordSources& sources) {
    json::Writer out;
    WriteDomain(out, domain, sources, true);
    return out.Take();
}

void AppendDomainEvent(
    db::Session& tx,
    const model::TenantId& tenant,
    const Domain& domain,
    const RecordSources& sources,
    const model::EventId& id,
    base::Time now,
    const DomainEvent& event
) {
    json::Writer data;
    data.BeginObject().Field("id", domain.id.ToString()).Field("name", domain.name);
    data.Field("status", domain.status).Field("created_at", domain.id.uuid().Timestamp());
    data.Field("region", domain.region);
    WriteRecords(data, PlanRecords(domain, sources));
    WriteCapabilities(data, domain);
    const bool updated = event.type == model::EventType::kDomainUpdated;
    if (updated) {
        data.Field("previous_status", event.previous_status);
        data.Field("changed_fields", event.changed_fields);
    }
    if (event.type == model::EventType::kDomainDeleted) data.Field("deleted", true);
    data.EndObject();
    // Creation and deletion happen once; an update is one of many.
    const std::string once = updated ? id.ToString() : domain.id.ToString();
    events::Append(
        tx, {id, tenant, event.type, now, domain.id.ToString(), data.Take(),
             base::Cat(model::ToText(event.type), ':', once)}
    );
}

std::string AuditFacts(const Domain& domain) {
    json::Writer out;
    out.BeginObject().Field("name", domain.name).Field("status", domain.status);
    out.Field("status_reason", domain.status_reason).Field("region", domain.region);
    out.Field("sending", domain.sending).Field("receiving", domain.receiving);
    out.Field("open_tracking", domain.open_tracking).Field("click_tracking", domain.click_tracking);
    out.Field("tracking_subdomain", domain.tracking_subdomain);
    out.Field("reply_tracking", domain.reply_tracking).Field("tls", domain.tls).EndObject();
    return out.Take();
}

std::string StatesJson(const std::vector<RecordState>& states) {
    json::Writer out;
    out.BeginArray();
    for (const RecordState& state : states) {
        out.BeginObject().Field("type", state.type).Field("fqdn", state.fqdn);
        out.Field("status", state.status).Field("checked_at", state.checked_at.us);
        out.Field("seen", state.seen).EndObject();
    }
    out.EndArray();
    return out.Take();
}

std::vector<RecordState> ReadStates(std::string_view json) {
    std::vector<RecordState> states;
    const auto document = json::Document::Parse(json);
    OPENSEND_CHECK(document.ok() && document->root().IsArray(), "stored record states parse");
    for (size_t i = 0; i < document->root().size(); ++i) {
        const json::Value entry = document->root().At(i);
        RecordState state;
        state.type = entry.Find("type").AsString();
        state.fqdn = entry.Find("fqdn").AsString();
        state.status = entry.Find("status").AsString();
        state.checked_at = {entry.Find("checked_at").AsInt()};
        const json::Value seen = entry.Find("seen");
        for (size_t k = 0; k < seen.size(); ++k) state.seen.emplace_back(seen.At(k).AsString());
        states.push_back(std::move(state));
    }
    return states;
}

}  // namespace opensend::domains
