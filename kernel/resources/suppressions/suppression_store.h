#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

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
};

class SuppressionStore {
public:
    /// True when new. An existing entry keeps its origin, id and time.
    static bool Add(db::Session& tx, const model::TenantId& tenant, const Suppression& suppression);
    static std::optional<Suppression> Find(
        db::Session& session, const model::TenantId& tenant, const std::string& match_key
    );
};

}  // namespace opensend::suppressions
