#include "kernel/resources/domains/claims_api.h"

#include "kernel/api/audited.h"
#include "kernel/api/idempotent.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/db/transaction.h"

namespace opensend::domains {
namespace {

constexpr std::chrono::hours kClaimLife{7 * 24};
constexpr std::string_view kProofPrefix = "opensend-domain-verification=";

bool IsExpired(const Claim& claim, base::Time now) {
    return claim.status == "expired" || (claim.status == "pending" && now >= claim.expires_at);
}

bool HasSameSettings(const Domain& a, const Domain& b) {
    return a.region == b.region && a.return_path == b.return_path &&
           a.open_tracking == b.open_tracking && a.click_tracking == b.click_tracking &&
           a.tracking_subdomain == b.tracking_subdomain;
}

std::string ClaimFacts(const Claim& claim) {
    json::Writer out;
    out.BeginObject().Field("name", claim.name).Field("status", claim.status);
    out.Field("domain_id", claim.domain.ToString()).Field("region", claim.region).EndObject();
    return out.Take();
}

}  // namespace

std::string ClaimJson(const Claim& claim, base::Time now) {
    json::Writer out;
    out.BeginObject().Field("object", "domain_claim").Field("id", claim.id.ToString());
    out.Field("name", claim.name);
    out.Field("status", IsExpired(claim, now) ? std::string("expired") : claim.status);
    out.Field("domain_id", claim.domain.ToString()).Field("region", claim.region);
    out.Key("record").BeginObject().Field("type", "TXT").Field("name", claim.name);
    out.Field("value", claim.proof).Field("ttl", "Auto").EndObject();
    out.Field("blocked_reason", claim.blocked_reason).Field("blocked_until", claim.blocked_until);
    out.Field("failure_reason", claim.failure_reason).Field("created_at", claim.created_at);
    out.Field("expires_at", claim.expires_at).EndObject();
    return out.Take();
}

void ClaimsApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = ClaimsApi;
    static constexpr RouteClass kA = RouteClass::kAdmin;
    static constexpr RouteClass kR = RouteClass::kRead;
    static constexpr api::RouteTraits kAdminWrite = {.admin_cost = true};
    // clang-format off
    static const api::Route<ClaimsApi> kRoutes[] = {
        {M::POST, "/domains/claim", kA, &A::Create,
         {.id = "domains.claim", .summary = "Claim a name that someone else holds",
          .answers = "201 DomainClaim, 200 DomainClaim", .body = "ClaimDomain"}, kAdminWrite},
        {M::GET, "/domains/:id/claim", kR, &A::Get,
         {.id = "domains.get_claim", .summary = "Show the claim of a domain",
          .answers = "200 DomainClaim"}},
        {M::POST, "/domains/:id/claim/verify", kA, &A::Verify,
         {.id = "domains.verify_claim", .summary = "Look for the proof of a claim",
          .answers = "200 DomainClaim", .refusals = "410"}, kAdminWrite},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

std::optional<Domain> ClaimsApi::Placeholder(
    db::Transaction& tx, const api::Call& call, const Domain& made, std::optional<Claim>& same
) {
    const std::string& name = made.name;
    const model::TenantId& tenant = call.principal.tenant;
    auto own = DomainStore::FindByName(tx, tenant, name);
    if (own) own = DomainStore::Lock(tx, tenant, own->id);
    auto claim = own ? ClaimStore::FindLatest(tx, tenant, own->id) : std::nullopt;
    const bool was_placeholder = claim && claim->status != "completed";
    if (own && !was_placeholder) {
        throw base::Conflict("domain_already_exists", "The domain exists already.");
    }
    const bool open = claim && claim->is_open() && !IsExpired(*claim, call.now);
    if (open && HasSameSettings(*own, made)) {
        same = std::move(claim);
        return std::nullopt;
    }
    // Whether another tenant holds the name is beyond what this transaction may see.
    db::Reader everyone(deps_.pool, db::Scope::AllTenants(), db::Plane::kAccept);
    if (!DomainStore::IsHeldElsewhere(everyone, tenant, name)) {
        throw base::Conflict("claim_not_needed", "Nobody holds the domain: create it.");
    }
    if (!own) {
        if (DomainStore::Count(tx, tenant) >= deps_.max_per_tenant) {
            throw base::Invalid("name", "the organization has too many domains.", "too_many");
        }
        if (!DomainStore::Insert(tx, tenant, made)) {
            throw base::Conflict("domain_already_exists", "The domain exists already.");
        }
        AppendDomainEvent(
            tx, tenant, made, deps_.catalog.For(tenant), model::EventId(deps_.ids.Next()), call.now
        );
        return made;
    }
    if (claim->is_open()) {
        claim->status = open ? "superseded" : "expired";
        claim->next_check_at.reset();
        ClaimStore::Save(tx, tenant, *claim);
    }
    Domain domain = *own;
    domain.region = made.region;
    domain.return_path = made.return_path;
    domain.open_tracking = made.open_tracking;
    domain.click_tracking = made.click_tracking;
    domain.tracking_subdomain = made.tracking_subdomain;
    domain.status = "not_started";
    domain.status_reason.reset();
    domain.next_check_at.reset();
    DomainStore::SetRegion(tx, tenant, domain);
    DomainStore::Save(tx, tenant, domain);
    return domain;
}

access::StoredAnswer ClaimsApi::Open(
    db::Transaction& tx, const api::Call& call, const Domain& domain
) {
    Claim claim;
    claim.id = DomainClaimId(deps_.ids.Next());
    claim.domain = domain.id;
    claim.name = domain.name;
    claim.region = domain.region;
    claim.proof = base::Cat(kProofPrefix, base::HexEncode(deps_.random.String(16)));
    claim.created_at = claim.id.uuid().Timestamp();
    claim.expires_at = claim.created_at + kClaimLife;
    claim.next_check_at = call.now + std::chrono::minutes(1);
    ClaimStore::Insert(tx, call.principal.tenant, claim);
    access::Audit(
        tx, deps_.ids,
        api::AuditOf(
            call, "domain.claim_created", "domain_claim", claim.id.ToString(), ClaimFacts(claim)
        )
    );
    return {201, ClaimJson(claim, call.now)};
}

api::Answer ClaimsApi::Create(const std::shared_ptr<api::Call>& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    const auto name = in.RequireText("name", {.single_line = true});
    Domain wanted;
    ReadDomainSettings(in, DomainBody::kClaim, deps_.more_regions, call->strict_fields, wanted);
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    const std::string a_label = NormaliseName(*name, deps_.own_hosts);
    // Making keys takes tens of milliseconds: no transaction is open meanwhile.
    const Domain made = deps_.factory.Make(call->principal.tenant, a_label, call->now, wanted);
    http::Response response = api::RunOnce(
        *call, deps_.pool, deps_.idempotency, "domains/claim", false,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            std::optional<Claim> same;
            const auto domain = Placeholder(tx, *call, made, same);
            if (!domain) return {200, ClaimJson(*same, call->now)};
            return Open(tx, *call, *domain);
        }
    );
    deps_.wake_events();
    return response;
}

api::Answer ClaimsApi::Get(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::DomainId>();
    db::Reader reader(deps_.pool, db::Scope(call->principal.tenant));
    const auto claim = ClaimStore::FindLatest(reader, call->principal.tenant, id);
    if (!claim) throw base::NotFound("Domain claim");
    return api::Json(200, ClaimJson(*claim, call->now));
}

api::Answer ClaimsApi::Verify(const std::shared_ptr<api::Call>& call) {
    static constexpr std::string_view kFamily = "domains/claim/verify";
    const auto id = call->Id<model::DomainId>();
    const model::TenantId& tenant = call->principal.tenant;
    int64_t wanted = 0;
    {
        db::Transaction tx(deps_.pool, db::Plane::kAccept, db::Scope(tenant));
        if (auto replay = api::FindReplay(*call, tx, deps_.idempotency, kFamily)) return replay;
        auto claim = ClaimStore::FindLatest(tx, tenant, id);
        if (!claim) throw base::NotFound("Domain claim");
        if (IsExpired(*claim, call->now)) {
            throw base::Error(base::ErrorCode::kGone, "The claim has expired.")
                .WithReason("claim_expired");
        }
        if (claim->is_open()) {
            claim = ClaimStore::Lock(tx, tenant, claim->id);
            wanted = ++claim->check_wanted;
            claim->next_check_at = call->now;
            ClaimStore::Save(tx, tenant, *claim);
            tx.Commit();
        }
    }
    deps_.wake_checks();
    deps_.late_answers.Add(
        call, deps_.clock.Mono() + kCheckWait,
        [this, call, id, wanted](bool last) -> std::optional<http::Response> {
            db::Reader reader(deps_.pool, db::Scope(call->principal.tenant), db::Plane::kAccept);
            const auto claim = ClaimStore::FindLatest(reader, call->principal.tenant, id);
            if (claim && claim->check_done < wanted && !last) return std::nullopt;
            return api::RunOnce(
                *call, deps_.pool, deps_.idempotency, kFamily, false,
                [&](db::Transaction& tx) -> access::StoredAnswer {
                    const auto now = ClaimStore::FindLatest(tx, call->principal.tenant, id);
                    if (!now) throw base::NotFound("Domain claim");
                    return {200, ClaimJson(*now, call->now)};
                }
            );
        }
    );
    return std::nullopt;
}

}  // namespace opensend::domains
