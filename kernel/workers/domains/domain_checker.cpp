#include "kernel/workers/domains/domain_checker.h"

#include <map>
#include <memory>

#include "kernel/access/audit.h"
#include "kernel/base/check.h"
#include "kernel/base/mutex.h"
#include "kernel/base/text.h"
#include "kernel/db/transaction.h"
#include "kernel/json/value.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"
#include "kernel/workers/domains/record_check.h"

namespace opensend::domain_checks {
namespace {

using domains::Domain;
using domains::DomainStore;
using domains::NameRow;

/// Answers to several questions that are under way at once.
class Gathering {
public:
    explicit Gathering(size_t open) : open_(open) {}
    void Put(size_t index, dns::Answers answers) {
        base::MutexLock lock(mutex_);
        answers_.emplace(index, std::move(answers));
        if (--open_ == 0) all_.NotifyAll();
    }
    /// Waits for every answer: the resolver gives each one by its deadline.
    std::map<size_t, dns::Answers> Wait() {
        base::MutexLock lock(mutex_);
        while (open_ > 0) all_.Wait(lock);
        return std::move(answers_);
    }

private:
    base::Mutex mutex_;
    base::CondVar all_;
    size_t open_ OPENSEND_GUARDED_BY(mutex_);
    std::map<size_t, dns::Answers> answers_ OPENSEND_GUARDED_BY(mutex_);
};

std::optional<std::string> TextOf(const json::Value& value) {
    return value.IsString() ? std::optional(std::string(value.AsString())) : std::nullopt;
}

/// Puts who asked for the check into the entry.
void NameRequester(access::AuditEntry& entry, const std::string& stored) {
    const auto document = json::Document::Parse(stored);
    OPENSEND_CHECK(document.ok(), "the stored requester parses");
    const json::Value root = document->root();
    entry.actor = {
        TextOf(root.Find("type")).value_or("system"), TextOf(root.Find("id")),
        TextOf(root.Find("label")).value_or("")};
    entry.origin = {
        TextOf(root.Find("source")).value_or("system"), TextOf(root.Find("ip")),
        TextOf(root.Find("user_agent")), TextOf(root.Find("request_id"))};
}

bool IsHeldByOther(const std::vector<NameRow>& rows, const model::DomainId& own) {
    for (const NameRow& row : rows) {
        if (row.held && row.id != own) return true;
    }
    return false;
}

}  // namespace

double DomainChecker::Spread() {
    const auto bytes = deps_.random.Bytes<2>();
    return (bytes[0] * 256 + bytes[1]) / 65535.0;
}

std::vector<domains::Observation> DomainChecker::Look(
    const Domain& domain, const domains::RecordSources& sources
) {
    const auto plan = domains::PlanRecords(domain, sources);
    const auto gathering = std::make_shared<Gathering>(plan.size());
    for (size_t i = 0; i < plan.size(); ++i) {
        // What the owner just published counts, not what was there a minute ago.
        deps_.resolver.Forget(plan[i].fqdn);
    }
    for (size_t i = 0; i < plan.size(); ++i) {
        deps_.resolver.Lookup(
            plan[i].fqdn, QuestionOf(plan[i]),
            [gathering, i](dns::Answers answers) { gathering->Put(i, std::move(answers)); }
        );
    }
    std::vector<domains::Observation> seen;
    for (const auto& [index, answers] : gathering->Wait()) {
        seen.push_back(Judge(plan[index], answers));
    }
    return seen;
}

void DomainChecker::Announce(
    db::Session& tx,
    const model::TenantId& tenant,
    const Domain& domain,
    const std::string& previous_status,
    const std::vector<std::string>& changed
) {
    domains::AppendDomainEvent(
        tx, tenant, domain, deps_.catalog.For(tenant), model::EventId(deps_.ids.Next()),
        deps_.clock.Now(), {model::EventType::kDomainUpdated, previous_status, changed}
    );
}

void DomainChecker::Note(
    db::Session& tx,
    const model::TenantId& tenant,
    std::string_view action,
    std::string_view target_type,
    const std::string& target,
    const std::string& metadata,
    const std::optional<std::string>& requester
) {
    access::AuditEntry entry;
    entry.tenant = tenant;
    entry.action = action;
    entry.target_type = target_type;
    entry.target_id = target;
    entry.metadata = metadata;
    entry.time = deps_.clock.Now();
    if (requester) NameRequester(entry, *requester);
    access::Audit(tx, deps_.ids, entry);
}

void DomainChecker::Lose(db::Session& tx, const NameRow& row) {
    auto domain = DomainStore::Find(tx, row.tenant, row.id);
    if (!domain) return;
    const std::string before = domain->status;
    domains::LoseToHolder(*domain);
    DomainStore::Save(tx, row.tenant, *domain);
    Announce(tx, row.tenant, *domain, before, {"status", "status_reason"});
    Note(
        tx, row.tenant, "domain.failed", "domain", row.id.ToString(), domains::AuditFacts(*domain)
    );
}

void DomainChecker::RefuseOthers(
    db::Session& tx, const std::vector<NameRow>& rows, const model::DomainId& winner
) {
    for (const NameRow& row : rows) {
        if (row.id != winner && row.hopes && !row.held && !row.in_claim) Lose(tx, row);
    }
}

void DomainChecker::CheckDomain(const domains::DomainLease& lease) {
    const domains::RecordSources sources = deps_.catalog.For(lease.tenant);
    const auto seen = Look(lease.domain, sources);

    db::Transaction tx(deps_.pool, db::Plane::kEvents, db::Scope::AllTenants());
    const auto rows = domains::DomainCheckStore::LockName(tx, lease.domain.name);
    auto domain = domains::DomainCheckStore::Reclaim(tx, lease);
    if (!domain) return;
    const bool was_held = domain->is_held();
    domains::CheckFacts facts;
    facts.now = deps_.clock.Now();
    facts.keep_forced = options_.keep_forced;
    facts.spread = Spread();
    facts.held_elsewhere = IsHeldByOther(rows, domain->id);
    const auto effect = domains::ApplyCheck(*domain, sources, seen, facts);
    domain->check_done = lease.domain.check_wanted;
    // Somebody asked again meanwhile: what was seen may be older than that.
    const bool again = domain->check_wanted != lease.domain.check_wanted;
    if (again) domain->next_check_at = facts.now;
    const auto requester = domain->check_requester;
    if (!again) domain->check_requester.reset();
    DomainStore::Save(tx, lease.tenant, *domain);
    if (domain->is_held() && !was_held) RefuseOthers(tx, rows, domain->id);
    if (!effect.changed_fields.empty()) {
        Announce(tx, lease.tenant, *domain, effect.previous_status, effect.changed_fields);
    }
    if (!effect.audit_action.empty()) {
        Note(
            tx, lease.tenant, effect.audit_action, "domain", domain->id.ToString(),
            domains::AuditFacts(*domain), requester
        );
    }
    domains::DomainCheckStore::Release(tx, lease);
    tx.Commit();
    runtime::Count("opensend_domain_checks_total", {domain->status});
    if (effect.changed_fields.empty()) return;
    OPENSEND_LOG(
        kInfo, "domain.checked", "a domain changed", kv("domain_id", domain->id.ToString()),
        kv("status", domain->status), kv("before", effect.previous_status)
    );
    deps_.after_change();
}

}  // namespace opensend::domain_checks
