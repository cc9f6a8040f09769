#include "kernel/resources/domains/domains_api.h"

#include "kernel/api/audited.h"
#include "kernel/api/idempotent.h"
#include "kernel/api/paging.h"
#include "kernel/base/text.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/domains/claim_store.h"
#include "kernel/resources/domains/domain_status.h"

namespace opensend::domains {
namespace {

/// Who asked for a check, for the audit entry that its end writes.
std::string RequesterOf(const api::Call& call) {
    const access::AuditEntry entry = api::AuditOf(call, "domain.verified", "domain", "");
    json::Writer out;
    out.BeginObject().Field("type", entry.actor.type).Field("id", entry.actor.id);
    out.Field("label", entry.actor.label).Field("source", entry.origin.source);
    out.Field("ip", entry.origin.ip).Field("user_agent", entry.origin.user_agent);
    out.Field("request_id", entry.origin.request_id).EndObject();
    return out.Take();
}

void RefuseHeldElsewhere(db::Pool& pool, const model::TenantId& tenant, const std::string& name) {
    // Whether another tenant holds the name is beyond what a tenant's transaction may see.
    db::Reader everyone(pool, db::Scope::AllTenants(), db::Plane::kAccept);
    if (!DomainStore::IsHeldElsewhere(everyone, tenant, name)) return;
    throw base::Error(
        base::ErrorCode::kSenderRefused,
        base::Cat("The domain ", name, " is held elsewhere; claim it.")
    )
        .WithReason("domain_claim_required");
}

}  // namespace

void DomainsApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = DomainsApi;
    static constexpr RouteClass kA = RouteClass::kAdmin;
    static constexpr RouteClass kR = RouteClass::kRead;
    static constexpr api::RouteTraits kAdminWrite = {.admin_cost = true};
    static constexpr api::RouteTraits kRestricted = {.open_to_restricted = true};
    static constexpr api::RouteTraits kVerify = {.admin_cost = true, .open_to_restricted = true};
    // clang-format off
    static const api::Route<DomainsApi> kRoutes[] = {
        {M::POST, "/domains", kA, &A::Create,
         {.id = "domains.create", .summary = "Add a domain",
          .answers = "201 Domain", .body = "CreateDomain"}, kAdminWrite},
        {M::GET, "/domains", kR, &A::List,
         {.id = "domains.list", .summary = "List domains",
          .answers = "200 DomainItem[]", .takes = "page"}, kRestricted},
        {M::GET, "/domains/:id", kR, &A::Get,
         {.id = "domains.get", .summary = "Show a domain and its DNS records",
          .answers = "200 Domain"}, kRestricted},
        {M::PATCH, "/domains/:id", kA, &A::Update,
         {.id = "domains.update", .summary = "Change a domain",
          .answers = "200 Domain", .body = "UpdateDomain"}, kAdminWrite},
        {M::DELETE, "/domains/:id", kA, &A::Delete,
         {.id = "domains.delete", .summary = "Remove a domain",
          .answers = "200 DomainDeleted"}, kAdminWrite},
        {M::POST, "/domains/:id/verify", kA, &A::Verify,
         {.id = "domains.verify", .summary = "Look up the DNS records now",
          .answers = "200 Domain"}, kVerify},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

std::string DomainsApi::Json(const api::Call& call, const Domain& domain) const {
    return DomainJson(domain, deps_.catalog.For(call.principal.tenant));
}

void DomainsApi::Announce(
    db::Session& tx, const api::Call& call, const Domain& domain, const DomainEvent& event
) {
    const model::TenantId& tenant = call.principal.tenant;
    AppendDomainEvent(
        tx, tenant, domain, deps_.catalog.For(tenant), model::EventId(deps_.ids.Next()), call.now,
        event
    );
}

access::StoredAnswer DomainsApi::Insert(db::Transaction& tx, const api::Call& call, Domain domain) {
    const model::TenantId& tenant = call.principal.tenant;
    if (!DomainStore::Insert(tx, tenant, domain)) {
        throw base::Conflict("domain_already_exists", "The domain exists already.");
    }
    Announce(tx, call, domain, {});
    access::Audit(
        tx, deps_.ids,
        api::AuditOf(call, "domain.created", "domain", domain.id.ToString(), AuditFacts(domain))
    );
    return {201, Json(call, domain)};
}

api::Answer DomainsApi::Create(const std::shared_ptr<api::Call>& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    const auto name = in.RequireText("name", {.single_line = true});
    Domain wanted;
    ReadDomainSettings(in, DomainBody::kCreate, deps_.more_regions, call->strict_fields, wanted);
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    const std::string a_label = NormaliseName(*name, deps_.own_hosts);
    const model::TenantId& tenant = call->principal.tenant;
    wanted.next_check_at = call->now;
    // Making keys takes tens of milliseconds: no transaction is open meanwhile.
    const Domain made = deps_.factory.Make(tenant, a_label, call->now, wanted);

    http::Response response = api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "domains", false,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            if (DomainStore::FindByName(tx, tenant, a_label)) {
                throw base::Conflict("domain_already_exists", "The domain exists already.");
            }
            RefuseHeldElsewhere(deps_.pool, tenant, a_label);
            if (DomainStore::Count(tx, tenant) >= deps_.max_per_tenant) {
                throw base::Invalid("name", "the organization has too many domains.", "too_many");
            }
            return Insert(tx, *call, made);
        }
    );
    deps_.senders.Invalidate();
    deps_.wake_checks();
    deps_.wake_events();
    return response;
}

api::Answer DomainsApi::List(const std::shared_ptr<api::Call>& call) {
    const db::PageRequest request = api::ReadPage(*call, 100);
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    db::Page<Domain> page;
    if (call->principal.domain) {
        // A restricted key sees its own domain as a list of one.
        auto own = DomainStore::Find(reader, call->principal.tenant, *call->principal.domain);
        if (own) page.rows.push_back(std::move(*own));
    } else {
        page = DomainStore::List(reader, call->principal.tenant, request);
    }
    return api::ListAnswer(page, [&](json::Writer& out, const Domain& domain) {
        WriteDomain(out, domain, {}, false);
    });
}

api::Answer DomainsApi::Get(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::DomainId>();
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    const auto domain = DomainStore::Find(reader, call->principal.tenant, id);
    const bool visible = domain && (!call->principal.domain || *call->principal.domain == id);
    if (!visible) throw base::NotFound("Domain");
    return api::Json(200, Json(*call, *domain));
}

api::Answer DomainsApi::Update(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::DomainId>();
    const model::TenantId& tenant = call->principal.tenant;
    db::Transaction tx(deps_.pool, db::Plane::kAccept, db::Scope(tenant));
    const auto before = DomainStore::Lock(tx, tenant, id);
    if (!before) throw base::NotFound("Domain");
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    Domain domain = *before;
    ReadDomainSettings(in, DomainBody::kUpdate, deps_.more_regions, call->strict_fields, domain);
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    std::vector<std::string> changed = ChangedSettings(*before, domain);
    if (changed.empty()) return api::Json(200, Json(*call, *before));

    const RecordSources sources = deps_.catalog.For(tenant);
    const auto claim = ClaimStore::FindLatest(tx, tenant, id);
    SettleAfterChange(domain, sources, call->now);
    const bool new_records =
        PlanRecords(*before, sources).size() != PlanRecords(domain, sources).size() ||
        before->tracking_subdomain != domain.tracking_subdomain;
    // What is new to the record set is looked for; a placeholder is checked once it is its owner's.
    if (new_records && domain.status != "failed" && !(claim && claim->is_open())) {
        ++domain.check_wanted;
        domain.next_check_at = call->now;
        if (domain.status == "partially_verified") domain.check_started_at = call->now;
    }
    DomainStore::Save(tx, tenant, domain);
    if (domain.status != before->status) changed.emplace_back("status");
    if (new_records) changed.emplace_back("records");
    Announce(tx, *call, domain, {model::EventType::kDomainUpdated, before->status, changed});
    access::Audit(
        tx, deps_.ids,
        api::AuditOf(*call, "domain.updated", "domain", id.ToString(), AuditFacts(domain))
    );
    tx.Commit();
    deps_.senders.Invalidate();
    deps_.wake_checks();
    deps_.wake_events();
    return api::Json(200, Json(*call, domain));
}

api::Answer DomainsApi::Delete(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::DomainId>();
    const model::TenantId& tenant = call->principal.tenant;
    db::Transaction tx(deps_.pool, db::Plane::kAccept, db::Scope(tenant));
    const auto domain = DomainStore::Lock(tx, tenant, id);
    if (!domain) throw base::NotFound("Domain");
    if (const auto claim = CancelClaim(tx, tenant, id)) {
        access::Audit(
            tx, deps_.ids,
            api::AuditOf(
                *call, "domain.claim_canceled", "domain_claim", claim->id.ToString(),
                AuditFacts(*domain)
            )
        );
    }
    DomainStore::Delete(tx, tenant, id);
    Announce(tx, *call, *domain, {model::EventType::kDomainDeleted, {}, {}});
    access::Audit(
        tx, deps_.ids,
        api::AuditOf(*call, "domain.deleted", "domain", id.ToString(), AuditFacts(*domain))
    );
    tx.Commit();
    deps_.senders.Invalidate();
    deps_.wake_events();
    json::Writer out;
    out.BeginObject().Field("object", "domain").Field("id", id.ToString());
    out.Field("deleted", true).EndObject();
    return api::Json(200, out.Take());
}

api::Answer DomainsApi::Verify(const std::shared_ptr<api::Call>& call) {
    static constexpr std::string_view kFamily = "domains/verify";
    const auto id = call->Id<model::DomainId>();
    const model::TenantId& tenant = call->principal.tenant;
    int64_t wanted = 0;
    {
        db::Transaction tx(deps_.pool, db::Plane::kAccept, db::Scope(tenant));
        if (auto replay = api::FindReplay(*call, tx, deps_.idempotency, kFamily)) return replay;
        auto domain = DomainStore::Lock(tx, tenant, id);
        const bool visible = domain && (!call->principal.domain || *call->principal.domain == id);
        if (!visible) throw base::NotFound("Domain");
        const auto claim = ClaimStore::FindLatest(tx, tenant, id);
        // A placeholder waits for its claim.
        if (!claim || !claim->is_open()) {
            const std::string before = domain->status;
            AskForCheck(*domain, call->now);
            domain->check_requester = RequesterOf(*call);
            DomainStore::Save(tx, tenant, *domain);
            wanted = domain->check_wanted;
            if (before != domain->status) {
                Announce(
                    tx, *call, *domain, {model::EventType::kDomainUpdated, before, {"status"}}
                );
            }
            tx.Commit();
        }
    }
    deps_.wake_checks();
    deps_.wake_events();
    deps_.late_answers.Add(
        call, deps_.clock.Mono() + kCheckWait,
        [this, call, id, wanted](bool last) -> std::optional<http::Response> {
            db::Reader reader(deps_.pool, db::Scope(call->principal.tenant), db::Plane::kAccept);
            const auto domain = DomainStore::Find(reader, call->principal.tenant, id);
            if (domain && domain->check_done < wanted && !last) return std::nullopt;
            return api::RunOnce(
                *call, deps_.pool, deps_.idempotency, kFamily, false,
                [&](db::Transaction& tx) -> access::StoredAnswer {
                    const auto now = DomainStore::Find(tx, call->principal.tenant, id);
                    if (!now) throw base::NotFound("Domain");
                    return {200, Json(*call, *now)};
                }
            );
        }
    );
    return std::nullopt;
}

}  // namespace opensend::domains
