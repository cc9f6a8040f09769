#include "kernel/resources/suppressions/suppressions_api.h"

#include "kernel/api/audited.h"
#include "kernel/api/idempotent.h"
#include "kernel/api/paging.h"
#include "kernel/base/text.h"
#include "kernel/events/event_log.h"
#include "kernel/mime/address.h"
#include "kernel/resources/suppressions/suppression_request.h"

namespace opensend::suppressions {
namespace {

constexpr size_t kMaxBatch = 100;
constexpr size_t kMaxFile = 5 * 1024 * 1024;

std::string FactsOf(const Suppression& entry) {
    json::Writer out;
    out.BeginObject().Field("email", entry.email).Field("origin", entry.origin);
    out.Field("reason", entry.reason).EndObject();
    return out.Take();
}

events::Event EventOf(
    const api::Call& call, base::UuidSource& ids, model::EventType type, const Suppression& entry
) {
    return {
        model::EventId(ids.Next()),
        call.principal.tenant,
        type,
        call.now,
        entry.id.ToString(),
        SuppressionEventData(entry),
        base::Cat(model::ToText(type), ':', entry.id.ToString())};
}

/// A list of one to a hundred; the problem otherwise.
bool IsBatch(const json::Value& list, std::string_view name, json::Problems& problems) {
    if (!list.IsArray()) {
        problems.Add(name, "must be an array.", "invalid_type");
    } else if (list.size() == 0) {
        problems.Add(name, "needs at least one entry.", "too_few");
    } else if (list.size() > kMaxBatch) {
        problems.Add(name, "can have at most 100 entries.", "too_many");
    } else {
        return true;
    }
    return false;
}

/// One entry of a batch removal: an id or an address.
struct Wanted {
    std::optional<model::SuppressionId> id;
    std::string match_key;
};

std::vector<Wanted> ReadRemovals(json::ObjectReader& in) {
    std::vector<Wanted> out;
    json::Problems& problems = in.problems();
    const json::Value emails = in.Take("emails");
    const json::Value ids = in.Take("ids");
    if (emails.IsAbsent() == ids.IsAbsent()) {
        problems.Add("emails", "must be given or ids must, not both.", "invalid_value");
        return out;
    }
    const bool by_id = emails.IsAbsent();
    const std::string_view name = by_id ? "ids" : "emails";
    const json::Value& list = by_id ? ids : emails;
    if (!IsBatch(list, name, problems)) return out;
    for (size_t i = 0; i < list.size(); ++i) {
        const json::Value entry = list.At(i);
        const std::string path = base::Cat(name, '.', i);
        if (!by_id) {
            Suppression read;
            ReadAddress(entry, path, problems, read);
            out.push_back({std::nullopt, read.match_key});
            continue;
        }
        const auto id =
            entry.IsString() ? model::SuppressionId::Parse(entry.AsString()) : std::nullopt;
        if (!id) problems.Add(path, "must be a UUID.", "invalid_value");
        out.push_back({id, {}});
    }
    return out;
}

}  // namespace

void SuppressionsApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = SuppressionsApi;
    static constexpr RouteClass kA = RouteClass::kAdmin;
    static constexpr RouteClass kR = RouteClass::kRead;
    static constexpr api::RouteTraits kFile = {
        .max_body = kMaxFile, .export_cost = true, .takes_csv = true};
    static constexpr api::RouteTraits kExport = {.export_cost = true};
    // clang-format off
    static const api::Route<SuppressionsApi> kRoutes[] = {
        {M::POST, "/suppressions", kA, &A::Create,
         {.id = "suppressions.add", .summary = "Block an address",
          .answers = "201 Suppression, 200 Suppression", .body = "AddSuppression"}},
        {M::GET, "/suppressions", kR, &A::List,
         {.id = "suppressions.list", .summary = "List blocked addresses",
          .answers = "200 Suppression[]",
          .takes = "page origin reason email search domain created_after created_before"}},
        {M::POST, "/suppressions/batch/add", kA, &A::BatchAdd,
         {.id = "suppressions.add_batch", .summary = "Block up to 100 addresses",
          .answers = "201 SuppressionsAdded", .body = "AddSuppressions"}},
        {M::POST, "/suppressions/batch/remove", kA, &A::BatchRemove,
         {.id = "suppressions.remove_batch", .summary = "Unblock up to 100 addresses",
          .answers = "200 SuppressionsRemoved", .body = "RemoveSuppressions"}},
        {M::POST, "/suppressions/import", kA, &A::Import,
         {.id = "suppressions.import", .summary = "Block the addresses of a CSV file",
          .answers = "201 SuppressionImport, 422 SuppressionImportRefused",
          .body = "ImportSuppressions"}, kFile},
        {M::GET, "/suppressions/export", kA, &A::Export,
         {.id = "suppressions.export", .summary = "Download blocked addresses as CSV",
          .answers = "200 text/csv",
          .takes = "export_limit origin reason email search domain created_after created_before"}, kExport},
        {M::GET, "/suppressions/:id", kR, &A::Get,
         {.id = "suppressions.get", .summary = "Show a blocked address",
          .answers = "200 Suppression"}},
        {M::DELETE, "/suppressions/:id", kA, &A::Delete,
         {.id = "suppressions.remove", .summary = "Unblock an address",
          .answers = "200 SuppressionDeleted"}},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

std::optional<Suppression> SuppressionsApi::Named(db::Session& session, const api::Call& call)
    const {
    const auto found = call.params.find("id");
    if (found == call.params.end()) return std::nullopt;
    if (const auto id = model::SuppressionId::Parse(found->second)) {
        return SuppressionStore::FindById(session, call.principal.tenant, *id);
    }
    const auto address = mime::ParseAddress(found->second);
    if (!address.ok()) return std::nullopt;
    return SuppressionStore::Find(session, call.principal.tenant, address->Key());
}

bool SuppressionsApi::AddOne(db::Session& tx, const api::Call& call, Suppression& entry) {
    const model::TenantId& tenant = call.principal.tenant;
    entry.id = model::SuppressionId(deps_.ids.Next());
    // What the id says of its time is what the entry says.
    entry.created_at = entry.id.uuid().Timestamp();
    if (!SuppressionStore::Add(tx, tenant, entry)) {
        const auto existing = SuppressionStore::Find(tx, tenant, entry.match_key);
        if (!existing) throw base::Unavailable("service_unavailable", "an entry went meanwhile");
        entry = *existing;
        return false;
    }
    events::Append(tx, EventOf(call, deps_.ids, model::EventType::kSuppressionAdded, entry));
    access::Audit(
        tx, deps_.ids,
        api::AuditOf(call, "suppression.added", "suppression", entry.id.ToString(), FactsOf(entry))
    );
    return true;
}

void SuppressionsApi::RemoveOne(db::Session& tx, const api::Call& call, const Suppression& entry) {
    if (!SuppressionStore::Remove(tx, call.principal.tenant, entry.id)) return;
    events::Append(tx, EventOf(call, deps_.ids, model::EventType::kSuppressionRemoved, entry));
    access::Audit(
        tx, deps_.ids,
        api::AuditOf(
            call, "suppression.removed", "suppression", entry.id.ToString(), FactsOf(entry)
        )
    );
}

api::Answer SuppressionsApi::Create(const CallPtr& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    const Suppression wanted = ReadSuppression(in);
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    auto response = api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "suppressions", false,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            Suppression entry = wanted;
            const bool is_new = AddOne(tx, *call, entry);
            json::Writer out;
            WriteSuppression(out, entry);
            return {is_new ? 201 : 200, out.Take()};
        }
    );
    deps_.wake_events();
    return response;
}

api::Answer SuppressionsApi::List(const CallPtr& call) {
    const db::PageRequest request = api::ReadPage(*call);
    const SuppressionFilter filter = ReadFilter(*call);
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    return api::ListAnswer(
        SuppressionStore::List(reader, call->principal.tenant, filter, request), WriteSuppression
    );
}

api::Answer SuppressionsApi::Get(const CallPtr& call) {
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    const auto entry = Named(reader, *call);
    if (!entry) throw base::NotFound("Suppression");
    json::Writer out;
    WriteSuppression(out, *entry);
    return api::Json(200, out.Take());
}

api::Answer SuppressionsApi::Delete(const CallPtr& call) {
    db::Transaction tx(deps_.pool, db::Plane::kAccept, db::Scope(call->principal.tenant));
    const auto entry = Named(tx, *call);
    if (!entry) throw base::NotFound("Suppression");
    RemoveOne(tx, *call, *entry);
    tx.Commit();
    deps_.wake_events();
    json::Writer out;
    out.BeginObject().Field("object", "suppression").Field("id", entry->id.ToString());
    out.Field("email", entry->email).Field("deleted", true).EndObject();
    return api::Json(200, out.Take());
}

api::Answer SuppressionsApi::BatchAdd(const CallPtr& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    const json::Value list = in.Take("emails");
    std::vector<Suppression> wanted;
    if (list.IsAbsent()) {
        problems.AddMissing("emails");
    } else if (IsBatch(list, "emails", problems)) {
        for (size_t i = 0; i < list.size(); ++i) {
            Suppression entry;
            entry.origin = entry.reason = "manual";
            ReadAddress(list.At(i), base::Cat("emails.", i), problems, entry);
            wanted.push_back(std::move(entry));
        }
    }
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    auto response = api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "suppressions/batch/add", false,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            json::Writer out;
            out.BeginObject().Key("data").BeginArray();
            for (Suppression entry : wanted) {
                AddOne(tx, *call, entry);
                out.BeginObject().Field("object", "suppression");
                out.Field("id", entry.id.ToString()).EndObject();
            }
            out.EndArray().EndObject();
            return {201, out.Take()};
        }
    );
    deps_.wake_events();
    return response;
}

api::Answer SuppressionsApi::BatchRemove(const CallPtr& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    const std::vector<Wanted> wanted = ReadRemovals(in);
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    const model::TenantId& tenant = call->principal.tenant;
    auto response = api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "suppressions/batch/remove", false,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            json::Writer out;
            out.BeginObject().Key("data").BeginArray();
            for (const Wanted& one : wanted) {
                const auto entry = one.id ? SuppressionStore::FindById(tx, tenant, *one.id)
                                          : SuppressionStore::Find(tx, tenant, one.match_key);
                if (!entry) continue;
                RemoveOne(tx, *call, *entry);
                out.BeginObject().Field("object", "suppression");
                out.Field("id", entry->id.ToString()).Field("deleted", true).EndObject();
            }
            out.EndArray().EndObject();
            return {200, out.Take()};
        }
    );
    deps_.wake_events();
    return response;
}

}  // namespace opensend::suppressions
