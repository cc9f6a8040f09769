#pragma once

#include <limits>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "kernel/db/page.h"
#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::suppressions {

/// An address that gets no mail of this tenant (SEND-41).
struct Suppression {
    model::SuppressionId id;
    std::string match_key;  // comparison key of REST 3.1
    std::string email;      // for display
    std::string origin;     // bounce, complaint, manual
    std::string reason;     // bounced, complained, manual
    std::optional<model::EmailId> source_email;
    base::Time created_at;
    std::optional<model::EventId> source_event = std::nullopt;
    std::optional<std::string> source_message_id = std::nullopt;
    std::string metadata = "{}";
    std::optional<std::string> note = std::nullopt;
    std::optional<base::Time> updated_at = std::nullopt;
};

/// What a list or export shows; empty members do not restrict.
struct SuppressionFilter {
    std::string origin{}, reason{}, match_key{};
    std::string search{}, domain{};  // start of the key; its part after the @
    base::Time created_after{std::numeric_limits<int64_t>::min()};
    base::Time created_before{std::numeric_limits<int64_t>::max()};
};

class SuppressionStore {
public:
    /// True when new. An existing entry keeps its origin, id and time; a complaint raises its
    /// reason.
    static bool Add(db::Session& tx, const model::TenantId& tenant, const Suppression& suppression);
    /// The same for many, in few round trips: the ids of those that are new.
    static std::set<model::SuppressionId> AddAll(
        db::Session& tx, const model::TenantId& tenant, std::span<const Suppression> suppressions
    );
    static std::optional<Suppression> Find(
        db::Session& session, const model::TenantId& tenant, const std::string& match_key
    );
    static std::optional<Suppression> FindById(
        db::Session& session, const model::TenantId& tenant, const model::SuppressionId& id
    );
    static db::Page<Suppression> List(
        db::Session& session,
        const model::TenantId& tenant,
        const SuppressionFilter& filter,
        const db::PageRequest& page
    );
    /// False: it was gone already.
    static bool Remove(
        db::Session& tx, const model::TenantId& tenant, const model::SuppressionId& id
    );
};

/// The data of suppression.added and suppression.removed (REST 4.5).
std::string SuppressionEventData(const Suppression& suppression);

}  // namespace opensend::suppressions
