#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/db/session.h"
#include "kernel/model/ids.h"

namespace opensend::event_log {

/// Where a tenant's record begins and ends. Without an event `oldest` is the next number.
struct LogRange {
    int64_t oldest = 1, latest = 0;
};

struct LogEntry {
    model::EventId id;
    int64_t sequence = 0;
    std::string type;
    base::Time created_at;
    std::string data;  // JSON object
};

class EventLogStore {
public:
    static int64_t Latest(db::Session& session, const model::TenantId& tenant);
    static LogRange Range(db::Session& session, const model::TenantId& tenant);
    /// Entries above `after` and up to `upto`, ascending. `types` is ",a,b," or empty for all.
    static std::vector<LogEntry> Read(
        db::Session& session,
        const model::TenantId& tenant,
        int64_t after,
        int64_t upto,
        const std::string& types,
        int64_t limit
    );
};

}  // namespace opensend::event_log
