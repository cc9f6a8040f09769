#include "kernel/api/audited.h"
#include "kernel/api/idempotent.h"
#include "kernel/api/problem.h"
#include "kernel/api/query.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/events/event_log.h"
#include "kernel/resources/suppressions/suppression_request.h"
#include "kernel/resources/suppressions/suppressions_api.h"

namespace opensend::suppressions {
namespace {

void WriteReport(json::Writer& out, size_t imported, size_t existing, const CsvFile& file) {
    out.Field("object", "suppression_import");
    out.Field("imported_count", static_cast<int64_t>(imported));
    out.Field("existing_count", static_cast<int64_t>(existing));
    out.Field("rejected_count", static_cast<int64_t>(file.rejected));
    out.Field("limit", static_cast<int64_t>(kMaxCsvRows));
    out.Key("errors").BeginArray();
    for (const CsvError& error : file.errors) {
        out.BeginObject().Field("row", static_cast<int64_t>(error.row));
        out.Field("field", error.field).Field("value", error.value);
        out.Field("message", error.message).EndObject();
    }
    out.EndArray();
}

/// The error body with the members of a report beside it.
http::Response Refused(const api::Call& call, const CsvFile& file) {
    const std::string message = base::Cat(
        "The file was not imported: row ", file.errors.front().row, ": ",
        file.errors.front().message
    );
    const base::ErrorCode code = base::ErrorCode::kValidation;
    const int status = api::StatusOf(code);
    json::Writer out;
    out.BeginObject().Field("statusCode", status).Field("name", api::NameOf(code));
    out.Field("code", "invalid_import").Field("message", message).Field("error", message);
    out.Field("request_id", call.facts->request_id);
    WriteReport(out, 0, 0, file);
    out.EndObject();
    return api::Json(status, out.Take());
}

int64_t ExportLimit(const api::Call& call) {
    const auto text = call.query.find("limit");
    if (text == call.query.end()) return SuppressionsApi::kMaxExport;
    const auto number = base::ParseInt(text->second);
    if (!number || *number < 1 || *number > SuppressionsApi::kMaxExport) {
        throw base::Invalid("limit", "must be a whole number from 1 to 100000.", "out_of_range");
    }
    return *number;
}

}  // namespace

access::StoredAnswer SuppressionsApi::Store(
    db::Transaction& tx, const api::Call& call, const std::vector<CsvEntry>& entries
) {
    const model::TenantId& tenant = call.principal.tenant;
    std::vector<Suppression> rows;
    rows.reserve(entries.size());
    for (const CsvEntry& entry : entries) {
        Suppression row;
        row.id = model::SuppressionId(deps_.ids.Next());
        row.match_key = entry.match_key;
        row.email = entry.email;
        row.origin = "manual";
        row.reason = entry.reason;
        row.created_at = row.id.uuid().Timestamp();
        row.note = entry.note;
        rows.push_back(std::move(row));
    }
    const auto added = SuppressionStore::AddAll(tx, tenant, rows);
    std::vector<events::Event> events;
    for (const Suppression& row : rows) {
        if (!added.contains(row.id)) continue;
        events.push_back(
            {model::EventId(deps_.ids.Next()), tenant, model::EventType::kSuppressionAdded,
             call.now, row.id.ToString(), SuppressionEventData(row),
             base::Cat("suppression.added:", row.id.ToString())}
        );
    }
    events::AppendAll(tx, events);
    json::Writer report;
    report.BeginObject();
    WriteReport(report, added.size(), rows.size() - added.size(), {});
    report.EndObject();
    json::Writer facts;
    facts.BeginObject().Field("imported_count", static_cast<int64_t>(added.size()));
    facts.Field("existing_count", static_cast<int64_t>(rows.size() - added.size())).EndObject();
    access::Audit(
        tx, deps_.ids,
        api::AuditOf(call, "suppression.imported", "organization", tenant.ToString(), facts.Take())
    );
    return {201, report.Take()};
}

api::Answer SuppressionsApi::Import(const CallPtr& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    const auto text = in.RequireText("csv");
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    const CsvFile file = ReadCsv(*text);
    if (file.rejected > 0) return Refused(*call, file);
    auto response = api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "suppressions/import", false,
        [&](db::Transaction& tx) { return Store(tx, *call, file.entries); }
    );
    deps_.wake_events();
    return response;
}

api::Answer SuppressionsApi::Export(const CallPtr& call) {
    const int64_t limit = ExportLimit(*call);
    const bool all = !call->query.contains("limit");
    const SuppressionFilter filter = ReadFilter(*call);
    const model::TenantId& tenant = call->principal.tenant;
    db::Transaction tx(deps_.pool, db::Plane::kDashboard, db::Scope(tenant));
    db::PageRequest request;
    request.limit = static_cast<int>(limit);
    const auto page = SuppressionStore::List(tx, tenant, filter, request);
    if (page.has_more && all) {
        throw base::Error(
            base::ErrorCode::kPayloadTooLarge,
            "More than 100000 entries match; restrict the export or give a limit."
        )
            .WithReason("export_too_large");
    }
    json::Writer facts;
    facts.BeginObject().Field("resource", "suppressions");
    facts.Field("rows", static_cast<int64_t>(page.rows.size())).EndObject();
    access::Audit(
        tx, deps_.ids,
        api::AuditOf(*call, "export.created", "organization", tenant.ToString(), facts.Take())
    );
    tx.Commit();
    http::Response response;
    response.headers.Set("Content-Type", "text/csv; charset=utf-8");
    const std::string day = base::FormatIso(call->now).substr(0, 10);
    response.headers.Set(
        "Content-Disposition", base::Cat("attachment; filename=\"suppressions-", day, ".csv\"")
    );
    response.headers.Set("X-OpenSend-Export-Rows", base::Cat(page.rows.size()));
    response.body = "email,origin,reason,note,created_at\r\n";
    for (const Suppression& row : page.rows) {
        response.body += base::Cat(
            CsvCell(row.email), ',', row.origin, ',', row.reason, ',',
            CsvCell(row.note.value_or("")), ',', base::FormatIso(row.created_at), "\r\n"
        );
    }
    return response;
}

}  // namespace opensend::suppressions
