#include "kernel/resources/domains/domains_api.h"

#include <algorithm>

#include "kernel/api/idempotent.h"
#include "kernel/api/paging.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/crypto/signature.h"
#include "kernel/db/transaction.h"
#include "kernel/events/event_log.h"
#include "kernel/mime/idna.h"

namespace opensend::domains {
namespace {

constexpr std::string_view kRegions[] = {"us-east-1", "eu-west-1", "sa-east-1", "ap-northeast-1"};
constexpr std::string_view kSimulatorDomains[] = {"resend.dev", "opensend.test"};

/// One DNS label: starts with a letter, ends alphanumeric, 1–63.
bool IsLabel(std::string_view text) {
    if (text.empty() || text.size() > 63) return false;
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const auto alnum = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
    return letter(text.front()) && alnum(text.back()) &&
           std::all_of(text.begin(), text.end(), [&](char c) { return alnum(c) || c == '-'; });
}

std::optional<std::string> ReadLabel(json::ObjectReader& in, std::string_view name) {
    auto label = in.OptionalText(name, {.single_line = true, .trim = true});
    if (label && !IsLabel(*label)) {
        in.problems().Add(in.Path(name), "must be one DNS label.", "invalid_format");
        return std::nullopt;
    }
    return label ? std::optional(base::AsciiLower(*label)) : std::nullopt;
}

void SetCapability(json::ObjectReader& in, Domain& domain, std::string_view name, bool enabled) {
    const std::string word = enabled ? "enabled" : "disabled";
    if (name == "sending") {
        domain.sending = word;
    } else if (name == "receiving") {
        domain.receiving = word;
    } else {
        in.problems().Add("capabilities", "names an unknown capability.", "invalid_value");
    }
}

void ReadCapabilityEntry(json::ObjectReader& in, Domain& domain, json::Value entry) {
    const json::Value name = entry.Find("name");
    const json::Value enabled = entry.Find("enabled");
    if (name.IsString() && enabled.IsBool()) {
        SetCapability(in, domain, name.AsString(), enabled.AsBool());
    } else {
        in.problems().Add("capabilities", "entries need name and enabled.", "invalid_type");
    }
}

/// The object form {"sending":"enabled"} or the array form [{"name","enabled"}].
void ReadCapabilities(json::ObjectReader& in, Domain& domain) {
    const json::Value value = in.Take("capabilities");
    if (value.IsAbsent()) return;
    if (value.IsArray()) {
        for (size_t i = 0; i < value.size(); ++i) ReadCapabilityEntry(in, domain, value.At(i));
    } else if (value.IsObject()) {
        for (size_t i = 0; i < value.size(); ++i) {
            const json::Value state = value.MemberAt(i);
            const bool known = state.IsString() &&
                               (state.AsString() == "enabled" || state.AsString() == "disabled");
            if (known) {
                SetCapability(in, domain, value.NameAt(i), state.AsString() == "enabled");
            } else {
                in.problems().Add("capabilities", "must be enabled or disabled.", "invalid_value");
            }
        }
    } else {
        in.problems().Add("capabilities", "must be an object or an array.", "invalid_type");
        return;
    }
    if (domain.sending == "disabled" && domain.receiving == "disabled") {
        in.problems().Add("capabilities", "cannot all be disabled.", "invalid_value");
    }
}

void ReadSettings(json::ObjectReader& in, Domain& domain) {
    if (auto region = in.OptionalText("region")) {
        if (std::find(std::begin(kRegions), std::end(kRegions), *region) == std::end(kRegions)) {
            in.problems().Add(
                base::ErrorCode::kInvalidRegion, "region",
                "must be one of us-east-1, eu-west-1, sa-east-1, ap-northeast-1.", ""
            );
        }
        domain.region = *region;
    }
    if (auto label = ReadLabel(in, "custom_return_path")) domain.return_path = *label;
    domain.open_tracking = in.OptionalBool("open_tracking").value_or(false);
    domain.click_tracking = in.OptionalBool("click_tracking").value_or(false);
    domain.tracking_subdomain = ReadLabel(in, "tracking_subdomain");
    domain.reply_tracking = in.OptionalBool("reply_tracking").value_or(false);
    if (auto tls = in.OptionalText("tls")) {
        if (*tls == "opportunistic") {
            domain.tls = "opportunistic";
        } else if (*tls == "enforced" || *tls == "required") {
            domain.tls = "enforced";
        } else {
            in.problems().Add("tls", "must be opportunistic or enforced.", "invalid_value");
        }
    }
    ReadCapabilities(in, domain);
}

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

std::string DomainJson(const Domain& domain, const RecordSources& sources) {
    json::Writer out;
    WriteDomain(out, domain, sources, true);
    return out.Take();
}

}  // namespace

std::string NormaliseName(const std::string& input, const std::vector<std::string>& own_hosts) {
    std::string text(base::Trim(input));
    if (!text.empty() && text.back() == '.') text.pop_back();
    const auto name = mime::ToALabel(text);
    if (!name) throw base::Invalid("name", "must be a domain name.", "invalid_format");
    const auto under = [&](std::string_view suffix) {
        return *name == suffix ||
               (name->size() > suffix.size() &&
                name->compare(
                    name->size() - suffix.size() - 1, std::string::npos, base::Cat('.', suffix)
                ) == 0);
    };
    for (const std::string_view simulator : kSimulatorDomains) {
        if (under(simulator))
            throw base::Invalid("name", "is a simulator domain.", "invalid_value");
    }
    for (const std::string_view reserved : {"localhost", "invalid"}) {
        if (under(reserved)) throw base::Invalid("name", "is a reserved name.", "invalid_value");
    }
    if (mime::IsPublicSuffix(*name)) {
        throw base::Invalid("name", "is a public suffix.", "invalid_value");
    }
    for (const std::string& host : own_hosts) {
        if (*name == host) {
            throw base::Invalid("name", "belongs to this installation.", "invalid_value");
        }
    }
    return *name;
}

Domain DomainFactory::Make(const model::TenantId& tenant, const std::string& name, base::Time now) {
    Domain domain;
    domain.id = model::DomainId(ids_.Next());
    domain.name = name;
    domain.created_at = now;
    domain.selector = "os" + base::HexEncode(random_.String(5));
    const auto rsa = crypto::SigningKey::GenerateRsa2048();
    const auto ed25519 = crypto::SigningKey::GenerateEd25519();
    const std::string org = tenant.ToString();
    const std::string row = domain.id.ToString();
    const auto seal = [&](std::string_view column, const crypto::SigningKey& key) {
        base::Secret text(base::Base64Encode(key.ToPkcs8().Reveal()));
        return keyring_.Seal({"domains", column, org, row}, text, random_);
    };
    domain.dkim_private_rsa = seal("dkim_private_rsa", rsa);
    domain.dkim_private_ed25519 = seal("dkim_private_ed25519", ed25519);
    domain.dkim_public_rsa = base::Base64Encode(rsa.PublicBytes());
    domain.dkim_public_ed25519 = base::Base64Encode(ed25519.PublicBytes());
    return domain;
}

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

void AppendDomainEvent(
    db::Session& tx,
    const model::TenantId& tenant,
    const Domain& domain,
    const RecordSources& sources,
    const model::EventId& id,
    base::Time now
) {
    json::Writer data;
    data.BeginObject().Field("id", domain.id.ToString()).Field("name", domain.name);
    data.Field("status", domain.status).Field("created_at", domain.id.uuid().Timestamp());
    data.Field("region", domain.region);
    WriteRecords(data, PlanRecords(domain, sources));
    WriteCapabilities(data, domain);
    data.EndObject();
    events::Append(
        tx, {id, tenant, model::EventType::kDomainCreated, now, domain.id.ToString(), data.Take(),
             base::Cat("domain.created:", domain.id.ToString())}
    );
}

void DomainsApi::Mount(api::Router& router) {
    using model::RouteClass;
    static constexpr api::RouteTraits kAdminWrite = {.admin_cost = true};
    static constexpr api::RouteTraits kRestricted = {.open_to_restricted = true};
    static const api::Route<DomainsApi> kRoutes[] = {
        {api::Method::POST, "/domains",     RouteClass::kAdmin, &DomainsApi::Create, kAdminWrite},
        {api::Method::GET,  "/domains",     RouteClass::kRead,  &DomainsApi::List,   kRestricted},
        {api::Method::GET,  "/domains/:id", RouteClass::kRead,  &DomainsApi::Get,    kRestricted},
    };
    router.Mount(kRoutes, *this);
}

api::Answer DomainsApi::Create(const std::shared_ptr<api::Call>& call) {
    json::Problems problems;
    json::ObjectReader in(call->body(), "", problems);
    const auto name = in.RequireText("name", {.single_line = true});
    Domain wanted;
    ReadSettings(in, wanted);
    call->facts->ignored_fields = in.Finish(call->strict_fields);
    problems.ThrowIfAny();
    const std::string a_label = NormaliseName(*name, options_.own_hosts);
    const model::TenantId& tenant = call->principal.tenant;

    http::Response response = api::RunOnce(
        *call, pool_, idempotency_, "domains", false,
        [&](db::Transaction& tx) -> access::StoredAnswer {
            if (DomainStore::FindByName(tx, tenant, a_label)) {
                throw base::Conflict("domain_already_exists", "The domain exists already.");
            }
            // Whether another tenant holds the name is beyond what this transaction may see.
            db::Reader everyone(pool_, db::Scope::AllTenants(), db::Plane::kAccept);
            if (DomainStore::IsHeldElsewhere(everyone, tenant, a_label)) {
                throw base::Error(
                    base::ErrorCode::kSenderRefused,
                    base::Cat("The domain ", a_label, " is held elsewhere; claim it.")
                )
                    .WithReason("domain_claim_required");
            }
            if (DomainStore::Count(tx, tenant) >= options_.max_per_tenant) {
                throw base::Invalid("name", "the organization has too many domains.", "too_many");
            }
            Domain made = factory_.Make(tenant, a_label, call->now);
            wanted.id = made.id;
            wanted.name = made.name;
            wanted.created_at = made.created_at;
            wanted.selector = made.selector;
            wanted.dkim_private_rsa = made.dkim_private_rsa;
            wanted.dkim_private_ed25519 = made.dkim_private_ed25519;
            wanted.dkim_public_rsa = made.dkim_public_rsa;
            wanted.dkim_public_ed25519 = made.dkim_public_ed25519;
            if (!DomainStore::Insert(tx, tenant, wanted)) {
                throw base::Conflict("domain_already_exists", "The domain exists already.");
            }
            AppendDomainEvent(
                tx, tenant, wanted, options_.sources, model::EventId(ids_.Next()), call->now
            );
            return {201, DomainJson(wanted, options_.sources)};
        }
    );
    senders_.Invalidate();
    return response;
}

api::Answer DomainsApi::List(const std::shared_ptr<api::Call>& call) {
    const db::PageRequest request = api::ReadPage(*call, 100);
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    db::Page<Domain> page;
    if (call->principal.domain) {
        // A restricted key sees its own domain as a list of one.
        auto own = DomainStore::Find(reader, call->principal.tenant, *call->principal.domain);
        if (own) page.rows.push_back(std::move(*own));
    } else {
        page = DomainStore::List(reader, call->principal.tenant, request);
    }
    return api::ListAnswer(page, [&](json::Writer& out, const Domain& domain) {
        WriteDomain(out, domain, options_.sources, false);
    });
}

api::Answer DomainsApi::Get(const std::shared_ptr<api::Call>& call) {
    const auto id = call->Id<model::DomainId>();
    db::Reader reader(pool_, db::Scope(call->principal.tenant));
    const auto domain = DomainStore::Find(reader, call->principal.tenant, id);
    const bool visible = domain && (!call->principal.domain || *call->principal.domain == id);
    if (!visible) throw base::NotFound("Domain");
    return api::Json(200, DomainJson(*domain, options_.sources));
}

}  // namespace opensend::domains
