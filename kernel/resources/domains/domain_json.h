#pragma once

#include <string>
#include <vector>

#include "kernel/db/session.h"
#include "kernel/json/writer.h"
#include "kernel/model/event_type.h"
#include "kernel/resources/domains/dns_plan.h"

namespace opensend::domains {

/// The domain object of REST 2.6. `with_records` false: list item.
void WriteDomain(
    json::Writer& out, const Domain& domain, const RecordSources& sources, bool with_records
);
std::string DomainJson(const Domain& domain, const RecordSources& sources);

/// A domain.* event as REST 4.5 shapes it.
struct DomainEvent {
    model::EventType type = model::EventType::kDomainCreated;
    std::string previous_status;              // of domain.updated
    std::vector<std::string> changed_fields;  // of domain.updated
};
/// Appends the event in the caller's transaction.
void AppendDomainEvent(
    db::Session& tx,
    const model::TenantId& tenant,
    const Domain& domain,
    const RecordSources& sources,
    const model::EventId& id,
    base::Time now,
    const DomainEvent& event = {}
);

/// Metadata of an audit entry about the domain.
std::string AuditFacts(const Domain& domain);

/// The stored form of Domain::record_states and back.
std::string StatesJson(const std::vector<RecordState>& states);
std::vector<RecordState> ReadStates(std::string_view json);

}  // namespace opensend::domains
